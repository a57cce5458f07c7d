#!/usr/bin/env bash
# How examples/data was made: a net with its text encoder, learned by `locus train` from real evaluations of 25 open models,
# their pool, and small files for the demos. Needs the evaluations (DATA), python3 with numpy to pick rows, and the
# costs of the models: billions of parameters, standing in for a price.
#
#     examples/make_data.sh ../shared/data/mmlu-pro examples/data/models.csv
set -eu
cd "$(dirname "$0")/.."
DATA=$1 MODELS=$2 OUT=${OUT:-examples/data} W=build/ship
mkdir -p $W
${PYTHON:-python3} - "$DATA" "$MODELS" $W <<'PY'
import csv, json, sys
import numpy as np
data, models, w = sys.argv[1:]
names = [r["name"] for r in csv.DictReader(open(data + "/models.csv"))]
shipped = {r["name"]: r for r in csv.DictReader(open(models))}
rows = [i for i, n in enumerate(names) if n in shipped and n != "DeepSeek-V2-Chat"]
np.save(w + "/rows.npy", np.array(rows, "<i4"))
with open(w + "/models.csv", "w") as f:
    f.write("name,params_b,cost\n")
    for n in names:
        r = shipped.get(n, {"params_b": "", "cost": "0"})
        f.write(f"{n},{r['params_b']},{r['cost']}\n")
split = np.load(data + "/split.npy")
scores = np.load(data + "/scores.npy")
queries = [json.loads(line) for line in open(data + "/queries.jsonl")]
rng = np.random.default_rng(1)
np.save(w + "/train.npy", np.flatnonzero(split == 0).astype("<i4"))
categories = sorted({q["category"] for q in queries})
pick = [i for c in categories for i in rng.permutation([i for i, q in enumerate(queries) if q["category"] == c and split[i] == 1])[:40]]
json_lines = lambda path, ids: open(path, "w").writelines(json.dumps({"text": queries[i]["text"]}) + "\n" for i in ids)
json_lines(w + "/profile.jsonl", pick)
open(w + "/profile.txt", "w").writelines(queries[i]["category"] + "\n" for i in pick)
short = [next(i for i in rng.permutation(len(queries)) if split[i] == 2 and queries[i]["category"] == c and
              40 < len(queries[i]["text"].split("\n")[0]) < 130 and "?" in queries[i]["text"].split("\n")[0]) for c in categories]
json_lines(w + "/queries.jsonl", short)
open(w + "/queries.txt", "w").writelines(f"{queries[i]['category']}\t{queries[i]['text'].splitlines()[0]}\n" for i in short)
deepseek = names.index("DeepSeek-V2-Chat")
new = rng.permutation([i for i in range(len(queries)) if split[i] == 0 and scores[deepseek, i] != 255])[:256]
json_lines(w + "/new.jsonl", new)
np.save(w + "/new_scores.npy", scores[deepseek, new])
PY
build/locus train --text "$DATA/queries.jsonl" --scores "$DATA/scores.npy" --split "$DATA/split.npy" --model-rows $W/rows.npy \
    --out $W/net.safetensors ${TRAIN:-}
build/locus embed --net $W/net.safetensors --text "$DATA/queries.jsonl" --scores "$DATA/scores.npy" --queries $W/train.npy \
    --models $W/models.csv --model-rows $W/rows.npy --with-net all --out "$OUT/router.safetensors"
build/locus calibrate --router "$OUT/router.safetensors" --text "$DATA/queries.jsonl" --scores "$DATA/scores.npy" \
    --models $W/models.csv --split "$DATA/split.npy"
for name in profile queries new; do
    build/locus encode --net $W/net.safetensors --text $W/$name.jsonl --out $W/$name.npy
done
cp $W/profile.npy $W/profile.txt $W/queries.npy $W/queries.txt "$OUT"
cp $W/new.npy "$OUT/new_encodings.npy"
cp $W/new_scores.npy "$OUT/new_scores.npy"
build/locus eval --router "$OUT/router.safetensors" --text "$DATA/queries.jsonl" --scores "$DATA/scores.npy" \
    --models $W/models.csv --split "$DATA/split.npy"
