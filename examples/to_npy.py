# Encodings of your own encoder as .npy, from an answer in OpenAI's form ({"data": [{"index": 0, "embedding": [...]}, ...]}):
#     llama-embedding -m all-MiniLM-L6-v2.gguf --pooling mean --embd-normalize 2 --embd-output-format json -f texts.txt > e.json
#     python3 examples/to_npy.py e.json q.npy
# One query a line in texts.txt, line breaks within a text as spaces. (llama.cpp itself could not be run here.)
import json, math, struct, sys

data = sorted(json.load(open(sys.argv[1]))["data"], key=lambda d: d["index"])
assert [d["index"] for d in data] == list(range(len(data))), "each index once: convert the answer of one request at a time"
rows = [d["embedding"] for d in data]
assert rows and all(len(r) == len(rows[0]) for r in rows), "all embeddings of one length"
assert all(isinstance(x, (int, float)) and math.isfinite(x) for r in rows for x in r), "numbers, finite"
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(rows), len(rows[0]))
head += " " * (-(len(head) + 11) % 64) + "\n"
with open(sys.argv[2], "wb") as f:
    f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
    for row in rows:
        f.write(struct.pack("<%df" % len(row), *row))
