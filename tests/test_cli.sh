#!/usr/bin/env bash
# The command line end to end: golden cases, wrong use, failures, invariances, the other examples, and, where ../shared
# is there, the published figures of the mmlu-pro checkpoint. Ends with "N passed, N failed".
#
#     tests/test_cli.sh        LOCUS=path of the binary (build/locus), GOLDEN=folder (tests/golden), SHARED=(../shared),
#                              CC=compiler for the helper and the examples, CFLAGS=its flags

cd "$(dirname "$0")/.." || exit 1
LOCUS=${LOCUS:-build/locus} GOLDEN=${GOLDEN:-tests/golden} SHARED=${SHARED:-../shared} CC=${CC:-cc} CFLAGS=${CFLAGS:--O1}
passed=0 failed=0
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT

pass() { passed=$((passed + 1)); }
miss() {
    failed=$((failed + 1))
    echo "FAILED: $*"
    sed 's/^/    /' "$T/out" "$T/err" 2>/dev/null | head -12
}
# ok NAME COMMAND...: exits with 0
ok() {
    local name=$1
    shift
    if "$@" >"$T/out" 2>"$T/err"; then pass; else miss "$name: status $? of: $*"; fi
}
# refused STATUS TEXT NAME COMMAND...: exits with that status, and stderr holds the text
refused() {
    local status=$1 text=$2 name=$3 got
    shift 3
    "$@" >"$T/out" 2>"$T/err"
    got=$?
    if [ $got != "$status" ]; then miss "$name: status $got, expected $status, of: $*"
    elif ! grep -qF -e "$text" "$T/err"; then miss "$name: no \"$text\" in the message of: $*"
    else pass; fi
}
# says TEXT NAME COMMAND...: exits with 0, and stdout holds the text
says() {
    local text=$1 name=$2
    shift 2
    if "$@" >"$T/out" 2>"$T/err" && grep -qF -e "$text" "$T/out"; then pass; else miss "$name: no \"$text\" from: $*"; fi
}
same() { ok "$1" cmp "$2" "$3"; }
json() { # json NAME COMMAND...: stdout is valid JSON
    local name=$1
    shift
    if ! "$@" >"$T/json" 2>"$T/err"; then miss "$name: failed: $*"
    elif ! command -v python3 >/dev/null; then pass
    else ok "$name" python3 -m json.tool "$T/json"; fi
}

picture() { # picture NAME FILE TEXT: well-formed, with that text in it as text, and nothing that runs or refers elsewhere
    if ! grep -q "<text[^>]*>[^<]*$3" "$2"; then miss "$1: no text \"$3\" in $2"
    elif grep -qE '<script|href|url\(|<image' "$2"; then miss "$1: more than a picture in $2"
    elif ! command -v python3 >/dev/null; then pass
    else ok "$1" python3 -c 'import sys, xml.dom.minidom as m
t = open(sys.argv[1], encoding="utf-8").read()
m.parseString(t[t.index("<svg"):t.index("</svg>") + 6].encode())' "$2"; fi
}

# program NAME SOURCE: what make has built of it, or, where that is older, a build of our own
program() {
    if [ "build/$1" -nt "$2" ] && [ "build/$1" -nt locus.h ]; then ok "$1" cp "build/$1" "$T/$1"
    else ok "$1 compiles" $CC $CFLAGS -DLOCUS_NO_SIMD -DLOCUS_NO_THREADS "$2" -o "$T/$1" -lm
    fi
}
program npydiff tests/npydiff.c
npy="$T/npydiff"

# ---- help and wrong use
says "locus embed" "overview" "$LOCUS" help embed
says "embed" "overview" "$LOCUS" --help
says "$(sed -n 's/^#define LOCUS_VERSION "\(.*\)"/\1/p' locus.h)" "version" "$LOCUS" --version
refused 2 "locus COMMAND" "no command" "$LOCUS"
refused 2 "did you mean route" "command misspelt" "$LOCUS" rote
for c in info train embed encode predict route eval compare neighbours cluster portfolio search duplicates next explain update calibrate; do
    says "--threads T" "help of $c" "$LOCUS" $c --help
    says "locus $c" "help of $c" "$LOCUS" $c -h
    refused 2 "required" "nothing given to $c" "$LOCUS" $c
    refused 2 "--threads" "threads of $c" "$LOCUS" $c --threads 0
    refused 2 "--isa" "isa of $c" "$LOCUS" $c --isa sse9
    refused 2 "did you mean --threads" "flag of $c misspelt" "$LOCUS" $c --thread 2
done

S=$GOLDEN/tiny P=
for f in "$GOLDEN/paper" "$SHARED/golden/paper"; do
    [ -z "$P" ] && [ -e "$f/model.safetensors" ] && P=$f # the large case is not in the repository
done
embed_tiny=("$LOCUS" embed --net "$S/model.safetensors" --memory 0 --encodings "$S/q_anchor.npy" --scores "$S/y.npy")
refused 2 "--out" "no --out" "${embed_tiny[@]}"
refused 2 "--out" "no value" "${embed_tiny[@]}" --out
refused 2 "--out" "a flag in place of the value" "${embed_tiny[@]}" --out --mask
refused 2 ".npy or .safetensors" "unknown ending" "${embed_tiny[@]}" --out "$T/z.txt"
refused 2 "given twice" "a flag twice" "${embed_tiny[@]}" --out "$T/z.npy" --out "$T/z.npy"
refused 2 "unexpected" "a stray word" "${embed_tiny[@]}" --out "$T/z.npy" stray
refused 2 "--path" "unknown path" "${embed_tiny[@]}" --out "$T/z.npy" --path quick
refused 2 "--with-net" "net into .npy" "${embed_tiny[@]}" --out "$T/z.npy" --with-net all
refused 2 "takes no value" "value for a switch" "$LOCUS" info --json=1 "$S/model.safetensors"

# ---- golden cases
sab=$SHARED/golden-train/sab # graded scores
[ -e "$sab/model.safetensors" ] || sab=
for g in "$S" $P $sab; do
    n=$(basename "$g")
    embed=("$LOCUS" embed --net "$g/model.safetensors" --memory 0 --encodings "$g/q_anchor.npy")
    masked=("${embed[@]}" --scores "$g/y.npy" --mask "$g/mask.npy")
    predict=("$LOCUS" predict --net "$g/model.safetensors" --encodings "$g/q_test.npy")
    ok "$n: embed" "${masked[@]}" --out "$T/$n.npy"
    ok "$n: z" "$npy" "$T/$n.npy" "$g/z.npy" 2e-5
    ok "$n: embed into a pool" "${masked[@]}" --out "$T/$n.safetensors"
    ok "$n: predict" "${predict[@]}" --pool "$T/$n.safetensors" --out "$T/$n-l.npy" --logits
    ok "$n: logits" "$npy" "$T/$n-l.npy" "$g/logits.npy" 2e-5
    ok "$n: predict with an array" "${predict[@]}" --pool "$T/$n.npy" --out "$T/$n-l2.npy" --logits
    same "$n: pool or array" "$T/$n-l.npy" "$T/$n-l2.npy"
    ok "$n: predict with an f8 array" "${predict[@]}" --pool "$g/z.npy" --out "$T/$n-l3.npy" --logits
    ok "$n: logits of an f8 array" "$npy" "$T/$n-l3.npy" "$g/logits.npy" 2e-5
    ok "$n: probabilities" "${predict[@]}" --pool "$T/$n.npy" --out "$T/$n-p.npy"
    ok "$n: probabilities are sigmoids" "$npy" "$T/$n-p.npy" "$T/$n-l.npy" 1e-6 sigmoid

    # the result depends on neither threads, path, the form of the scores nor the order of the evaluations
    for how in "--threads 1" "--threads 2" "--threads 5" "--path fast" "--path streaming" "--path streaming --threads 3"; do
        case $n$how in
        sab*streaming*)
            refused 1 "--path" "$n: $how" "${masked[@]}" $how --out "$T/z.npy"
            continue
            ;;
        esac
        ok "$n: embed $how" "${masked[@]}" $how --out "$T/z.npy"
        same "$n: same bits with $how" "$T/z.npy" "$T/$n.npy"
    done
    for t in 1 2 5; do
        ok "$n: predict with $t threads" "${predict[@]}" --pool "$T/$n.npy" --threads $t --logits --out "$T/l.npy"
        same "$n: same bits with $t threads" "$T/l.npy" "$T/$n-l.npy"
    done
    for dirt in 1 2 128; do # glibc fills fresh memory with ~dirt: nothing may depend on what a workspace held
        ok "$n: embed in dirty memory" env MALLOC_PERTURB_=$dirt "${masked[@]}" --out "$T/z.npy"
        same "$n: same bits in dirty memory ($dirt)" "$T/z.npy" "$T/$n.npy"
        ok "$n: predict in dirty memory" env MALLOC_PERTURB_=$dirt "${predict[@]}" --pool "$T/$n.npy" --logits --out "$T/l.npy"
        same "$n: same bits in dirty memory ($dirt)" "$T/l.npy" "$T/$n-l.npy"
    done
    for d in $([ $n = sab ] || echo u1 f2) f4 f8; do
        ok "$n: scores as $d" "$npy" convert "$g/y.npy" "$T/y-$d.npy" $d "$g/mask.npy"
        ok "$n: embed scores as $d" "${embed[@]}" --scores "$T/y-$d.npy" --out "$T/z.npy"
        same "$n: same bits with $d" "$T/z.npy" "$T/$n.npy"
    done
    for d in $([ $n = sab ] || echo b1 i4 i8); do
        ok "$n: scores as $d" "$npy" convert "$T/y-u1.npy" "$T/y-$d.npy" $d
        ok "$n: mask as b1" "$npy" convert "$g/mask.npy" "$T/mask.npy" b1
        ok "$n: embed scores as $d" "${embed[@]}" --scores "$T/y-$d.npy" --mask "$T/mask.npy" --out "$T/z.npy"
        same "$n: same bits with $d" "$T/z.npy" "$T/$n.npy"
    done
    ok "$n: encodings as f8" "$npy" convert "$g/q_anchor.npy" "$T/q8.npy" f8
    ok "$n: embed encodings as f8" "$LOCUS" embed --net "$g/model.safetensors" --encodings "$T/q8.npy" --scores "$T/y-f4.npy" --out "$T/z.npy"
    same "$n: same bits with f8 encodings" "$T/z.npy" "$T/$n.npy"
    count=$("$LOCUS" info --json "$g/y.npy" | sed 's/.*"shape":\[[0-9]*, \([0-9]*\)\].*/\1/')
    ok "$n: a list" "$npy" make "$T/back.npy" i4 "$count" $(seq $((count - 1)) -1 0)
    ok "$n: embed backwards" "${masked[@]}" --queries "$T/back.npy" --out "$T/z.npy"
    same "$n: same bits backwards" "$T/z.npy" "$T/$n.npy"
    for isa in scalar avx2 avx512 neon; do
        "${masked[@]}" --isa $isa --out "$T/z.npy" >"$T/out" 2>"$T/err"
        case $? in
        0) ok "$n: z with $isa" "$npy" "$T/z.npy" "$g/z.npy" 2e-5 ;;
        *) refused 1 "--isa $isa" "$n: $isa" "${masked[@]}" --isa $isa --out "$T/z.npy" ;;
        esac
    done
done

# ---- failures: status 1, and the message names the flag
embed_ok=("${embed_tiny[@]}" --mask "$S/mask.npy")
predict_tiny=("$LOCUS" predict --net "$S/model.safetensors" --encodings "$S/q_test.npy" --out "$T/p.npy")
"$npy" make "$T/wide.npy" f4 3,9 0.5 0
refused 1 "--net" "no such net" "$LOCUS" embed --net "$T/none" --encodings "$S/q_anchor.npy" --scores "$S/y.npy" --out "$T/z.npy"
refused 1 "--net" "an array is no net" "$LOCUS" embed --net "$S/y.npy" --encodings "$S/q_anchor.npy" --scores "$S/y.npy" --out "$T/z.npy"
refused 1 "--encodings" "no such encodings" "$LOCUS" embed --net "$S/model.safetensors" --encodings "$T/none" --scores "$S/y.npy" --out "$T/z.npy"
refused 1 "--encodings" "encodings of another length" "$LOCUS" embed --net "$S/model.safetensors" --encodings "$T/wide.npy" --scores "$T/wide.npy" --out "$T/z.npy"
refused 1 "--encodings" "encodings of another length" "$LOCUS" predict --net "$S/model.safetensors" --pool "$T/tiny.npy" --encodings "$T/wide.npy" --out "$T/p.npy"
refused 1 "--scores" "no such scores" "$LOCUS" embed --net "$S/model.safetensors" --encodings "$S/q_anchor.npy" --scores "$T/none" --out "$T/z.npy"
refused 1 "--scores" "scores of another shape" "$LOCUS" embed --net "$S/model.safetensors" --encodings "$S/q_anchor.npy" --scores "$T/wide.npy" --out "$T/z.npy"
refused 1 "--scores" "scores outside [0,1]" "${embed_tiny[@]}" --out "$T/z.npy"
refused 1 "--mask" "mask of another shape" "${embed_tiny[@]}" --mask "$T/wide.npy" --out "$T/z.npy"
refused 1 "--mask" "mask of floats" "${embed_tiny[@]}" --mask "$S/y.npy" --out "$T/z.npy"
"$npy" make "$T/all0.npy" u1 3,5 0
refused 1 "model-0" "no evaluation" "${embed_tiny[@]}" --mask "$T/all0.npy" --out "$T/z.npy"
"$npy" make "$T/far.npy" i4 2 0 5
refused 1 "--queries" "query out of range" "${embed_ok[@]}" --queries "$T/far.npy" --out "$T/z.npy"
"$npy" make "$T/twice.npy" i8 3 1 2 1
refused 1 "twice" "query twice" "${embed_ok[@]}" --queries "$T/twice.npy" --out "$T/z.npy"
refused 1 "--queries" "queries as floats" "${embed_ok[@]}" --queries "$S/y.npy" --out "$T/z.npy"
refused 1 "--out" "folder missing" "${embed_ok[@]}" --out "$T/none/z.npy"
refused 1 "--pool" "no such pool" "${predict_tiny[@]}" --pool "$T/none"
[ -z "$P" ] || refused 1 "--pool" "pool of another net" "${predict_tiny[@]}" --pool "$T/paper.safetensors"
refused 1 "--pool" "embeddings of another length" "${predict_tiny[@]}" --pool "$T/wide.npy"
refused 1 "--pool" "a net is no pool" "${predict_tiny[@]}" --pool "$S/model.safetensors"
refused 2 "--net" "array without a net" "$LOCUS" predict --pool "$T/tiny.npy" --encodings "$S/q_test.npy" --out "$T/p.npy"
refused 1 "$T/none" "info: no such file" "$LOCUS" info "$T/none"
head -c 1000 "$S/model.safetensors" >"$T/cut.safetensors"
refused 1 "$T/cut.safetensors" "info: truncated" "$LOCUS" info "$T/cut.safetensors"
refused 1 "--net" "embed: truncated net" "$LOCUS" embed --net "$T/cut.safetensors" --encodings "$S/q_anchor.npy" --scores "$S/y.npy" --out "$T/z.npy"

# what was there stays, byte for byte, and nothing is left lying about
mkdir "$T/keep"
cp "$T/tiny.safetensors" "$T/keep/pool.safetensors"
refused 1 "--scores" "failing into an old file" "${embed_tiny[@]}" --out "$T/keep/pool.safetensors"
same "the old file stays" "$T/keep/pool.safetensors" "$T/tiny.safetensors"
ok "overwriting" "${embed_ok[@]}" --query-encoder other --out "$T/keep/pool.safetensors"
ok "no stray files" test "$(ls -A "$T/keep")" = pool.safetensors

# ---- models.csv
printf 'index,name,params_b,cost,available,note\r\n0,"a, ""b""",7,1.5,1,x\r\n1,model ü,,0,true,"two\nlines"\r\n\r\n2,c,0.5,3,false,\r\n' >"$T/m.csv"
ok "embed with names" "${embed_ok[@]}" --no-default --models "$T/m.csv" --out "$T/named.safetensors" --with-net predictor
says 'a, "b"' "names are kept" "$LOCUS" info "$T/named.safetensors"
says 'model ü' "names are kept" "$LOCUS" info "$T/named.safetensors"
bad_csv() { # bad_csv TEXT NAME CONTENT
    printf "$3" >"$T/bad.csv"
    refused 1 "$1" "models.csv: $2" "${embed_ok[@]}" --models "$T/bad.csv" --out "$T/z.npy"
}
bad_csv "column \"name\"" "no name column" 'index,title\n0,a\n1,b\n2,c\n'
bad_csv "found 2" "too few models" 'name\na\nb\n'
bad_csv "found 4" "too many models" 'name\na\nb\nc\nd\n'
bad_csv "twice" "a name twice" 'name\na\nb\na\n'
bad_csv "line 3" "a bad number" 'name,cost\na,1\nb,1x\nc,2\n'
bad_csv "line 2" "a negative cost" 'name,cost\na,-1\nb,1\nc,2\n'
bad_csv "line 2" "not finite" 'name,cost\na,inf\nb,1\nc,2\n'
bad_csv "line 4" "too few fields" 'name,cost\na,1\nb,1\nc\n'
bad_csv "line 3" "too many fields" 'name,cost\na,1\nb,1,1\nc,1\n'
bad_csv "quote" "an open quote" 'name\n"a\nb\nc\n'
bad_csv "quote" "text after a quote" 'name\n"a"x\nb\nc\n'
bad_csv "empty" "an empty name" 'name,cost\n,1\nb,1\nc,1\n'
bad_csv "available" "a bad truth value" 'name,available\na,yes\nb,1\nc,1\n'
bad_csv "twice" "a column twice" 'name,name\na,1\nb,1\nc,1\n'
bad_csv "at most 191" "a long name" "name\n$(printf '%0200d' 0)\nb\nc\n"
ok "picking models" "$npy" make "$T/pick.npy" u1 2 2 0
ok "embed picked models" "${embed_ok[@]}" --models "$T/m.csv" --model-rows "$T/pick.npy" --out "$T/picked.safetensors" --with-net predictor
json "info of the picked" "$LOCUS" info --json "$T/picked.safetensors"
says '"models":[{"name":"c"' "picked in order" cat "$T/json"

# ---- router files
R=$T/named.safetensors
ok "everything in one file" "${embed_ok[@]}" --models "$T/m.csv" --out "$T/all.safetensors" --with-net all
ok "embed from a router file" "$LOCUS" embed --net "$T/all.safetensors" --encodings "$S/q_anchor.npy" --scores "$S/y.npy" --mask "$S/mask.npy" --out "$T/z.npy"
same "same bits from a router file" "$T/z.npy" "$T/tiny.npy"
refused 1 "encoder" "no encoder in it" "$LOCUS" embed --net "$R" --encodings "$S/q_anchor.npy" --scores "$S/y.npy" --mask "$S/mask.npy" --out "$T/z.npy"
for how in "--router $R" "--net $R" "--pool $R" "--net $R --pool $T/tiny.safetensors" "--net $S/model.safetensors --pool $R"; do
    ok "predict $how" "$LOCUS" predict $how --encodings "$S/q_test.npy" --logits --out "$T/l.npy"
    same "same bits with $how" "$T/l.npy" "$T/tiny-l.npy"
done
refused 2 "--router" "three files" "$LOCUS" predict --router "$R" --net "$R" --pool "$R" --encodings "$S/q_test.npy" --out "$T/l.npy"

# ---- info
for f in "$S/model.safetensors" "$T/tiny.safetensors" "$R" "$T/all.safetensors" "$S/q_test.npy" "$S/y.npy"; do
    ok "info $f" "$LOCUS" info "$f"
    ok "info --all $f" "$LOCUS" info --all "$f"
    json "info --json $f" "$LOCUS" info --json "$f"
done
says "model-2" "info of a pool alone lists its models" "$LOCUS" info "$T/tiny.safetensors"

# ---- route
route=("$LOCUS" route --router "$R" --encodings "$S/q_test.npy")
json "route --json" "${route[@]}" --json --top 3
json "route --json, one model" "${route[@]}" --json --available c
says '"model":"c"' "only the available" cat "$T/json"
ok "no other than the available" sh -c "! grep -q '\"model\":\"model' '$T/json'"
says "query" "route" "${route[@]}" --top 9
says "0     1" "route some rows" "${route[@]}" --rows 0:1
says "3     1" "route some rows" "${route[@]}" --rows 3:
refused 1 "--rows" "rows out of range" "${route[@]}" --rows 0:5
refused 2 "--rows" "bad rows" "${route[@]}" --rows 2
refused 2 "--top" "bad top" "${route[@]}" --top 2.5
refused 2 "--lambda" "bad lambda" "${route[@]}" --lambda nan
refused 2 "--max-cost" "bad cost" "${route[@]}" --max-cost -1
refused 2 "--budget" "lambda and budget" "${route[@]}" --lambda 1 --budget 1
refused 2 "--margin" "margin without default" "${route[@]}" --margin 0.1
refused 1 "--default" "unknown default" "${route[@]}" --default d
refused 1 "did you mean c?" "capital default" "${route[@]}" --default C
refused 1 "did you mean model ü" "misspelt default" "${route[@]}" --default "modell ü"
refused 1 "--available" "unknown available" "${route[@]}" --available c,d
says "default-kept" "the default stays" "${route[@]}" --default "model ü" --margin 1
says "default-excluded" "the default is too dear" "${route[@]}" --default 'a, "b"' --max-cost 1
json "only what is free" "${route[@]}" --json --max-cost 0
ok "nothing but the free model" sh -c "! grep -q '\"cost\":[1-9]' '$T/json'"
json "a price of cost" "${route[@]}" --json --lambda 100
ok "the cheapest at a high price" sh -c "! grep -q '\"cost\":[1-9]' '$T/json'"
json "a budget" "${route[@]}" --json --budget 0.5
ok "the budget is kept" awk 'match($0, /"mean_cost":[0-9.e-]+/) { exit !(substr($0, RSTART + 12, RLENGTH - 12) + 0 <= 0.5) }' "$T/json"
ok "a dear pool" "$npy" make "$T/one.npy" u1 1 0
ok "a dear pool" "${embed_ok[@]}" --models "$T/m.csv" --model-rows "$T/one.npy" --out "$T/dear.safetensors" --with-net predictor
refused 1 "--budget" "a budget below the cheapest" "$LOCUS" route --router "$T/dear.safetensors" --encodings "$S/q_test.npy" --budget 1
refused 1 "locus route" "no candidate" "$LOCUS" route --router "$T/dear.safetensors" --encodings "$S/q_test.npy" --max-cost 1
ok "many queries" "$npy" make "$T/many.npy" f4 300,8 0.1 0.7 -0.3 0.2 0.9 -0.5 0.4
says "300 queries" "a summary of many queries" "$LOCUS" route --router "$R" --encodings "$T/many.npy"
ok "all of many queries" sh -c "'$LOCUS' route --router '$R' --encodings '$T/many.npy' --all | test \$(wc -l) = 301"

# ---- eval
"$npy" make "$T/ye.npy" u1 3,4 1 0 255 1 0 0 1 1 1 255 0 0
"$npy" make "$T/se.npy" u1 4 0 2 2 2
"$npy" make "$T/ce.npy" i8 4 3 3 -7 3
eval=("$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/ye.npy")
says "hindsight" "eval" "${eval[@]}"
says "1 training quer" "eval with a split" "${eval[@]}" --split "$T/se.npy"
json "eval --json" "${eval[@]}" --split "$T/se.npy" --use test --categories "$T/ce.npy" --json
says '"category":"-7"' "categories" cat "$T/json"
says '"queries":3' "three test queries" cat "$T/json"
json "eval --fully-scored" "${eval[@]}" --fully-scored --json
says '"queries":2' "two are fully scored" cat "$T/json"
printf '{"category": "a\\u00e9\\n\\"", "x": [1, {"y": null}, -2.5e3]}\n{"x": "}", "category": "b"}\r\n{"category":"b"}\n{"category":""}' >"$T/c.jsonl"
json "eval with JSON lines" "${eval[@]}" --categories "$T/c.jsonl" --json
printf 'x\ny\n\nx\n' >"$T/c.txt"
ok "eval with text lines" "${eval[@]}" --categories "$T/c.txt"
for bad in '{"category": 1}' '{"category": "a"' '{"category": "a"} x' '{"a": 01, "category": "a"}' '["category"]' '{"x": "a"}' '{"category": "\ud800"}'; do
    printf '%s\n%s\n%s\n%s\n' '{"category":"a"}' "$bad" '{"category":"a"}' '{"category":"a"}' >"$T/bad.jsonl"
    refused 1 "line 2" "JSON lines: $bad" "${eval[@]}" --categories "$T/bad.jsonl"
done
printf 'x\ny\n' >"$T/short.txt"
printf '{"text":"a","category":"a"}\n{"text":"b"}\n{"category":"a"}\n{"category":"a"}\n' >"$T/bad.jsonl"
refused 1 "query 1 has no \"category\"" "JSON lines: no category" "${eval[@]}" --categories "$T/bad.jsonl"
refused 1 "query 2 has no \"text\"" "JSON lines: no text" "$LOCUS" encode --net examples/data/router.safetensors --text "$T/bad.jsonl" --out "$T/z.npy"
refused 1 "--categories" "too few categories" "${eval[@]}" --categories "$T/short.txt"
refused 1 "--split" "split of another length" "${eval[@]}" --split "$T/twice.npy"
refused 2 "--use" "use without split" "${eval[@]}" --use test
refused 2 "--use" "unknown part" "${eval[@]}" --split "$T/se.npy" --use tset
refused 1 "--split" "an empty part" "${eval[@]}" --split "$T/se.npy" --use val
refused 1 "--models" "fewer models than scores" "$LOCUS" eval --router "$T/picked.safetensors" --encodings "$S/q_test.npy" --scores "$T/ye.npy"
json "matched by name" "$LOCUS" eval --router "$T/picked.safetensors" --encodings "$S/q_test.npy" --scores "$T/ye.npy" --models "$T/m.csv" --json
cp "$T/json" "$T/by-name.json"
json "matched by number" "$LOCUS" eval --router "$T/picked.safetensors" --encodings "$S/q_test.npy" --scores "$T/ye.npy" --model-rows "$T/pick.npy" --json
same "matched the same" "$T/json" "$T/by-name.json"

# ---- replay of a log with holes; rules; graded scores
says "16.7 % of the scores are missing" "eval: a hole is unknown" "${eval[@]}"
says "a query's candidates are the models that have one" "eval: among the scored by default" "${eval[@]}"
says "each counts as a miss" "eval --among all" "${eval[@]}" --among all
refused 2 "--among" "eval: among whom" "${eval[@]}" --among some
"$npy" make "$T/y-hole.npy" u1 3,4 255 0 255 1 255 0 1 1 255 255 0 0
says "1 queries without a candidate are left out" "eval: a query without any score" "$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/y-hole.npy"
json "eval: holes --json" "$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/y-hole.npy" --json
says '"among":"scored"' "eval: holes --json" cat "$T/json"
says '"left_out":1' "eval: holes --json" cat "$T/json"
"$npy" make "$T/y-graded.npy" f4 3,4 1 0.25 0 0.5 0.75 0 1 1 0.5 0.25 0 0
says "mean score, %" "eval: graded scores" "$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/y-graded.npy"
says "of mean score" "eval: the difference in graded scores" "$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/y-graded.npy"
json "eval: graded --json" "$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/y-graded.npy" --json
says '"best_single_score":0.6875' "eval: the leader by mean score" cat "$T/json"
says '"difference":{"level":0.9,"hit1":{"value":' "eval: a paired interval" cat "$T/json"
json "eval: only c" "${eval[@]}" --available c --json
says '"models_routed":1' "eval --available" cat "$T/json"
json "eval: a default that stays" "${eval[@]}" --default c --margin 1 --json
says '"mean_cost":2.625' "eval: c where it has a score, else the best" cat "$T/json"
says "stays unless another gains more than 1" "eval: the default in words" "${eval[@]}" --default c --margin 1
refused 2 "--margin needs a --default" "eval: margin alone" "${eval[@]}" --margin 0.5
refused 2 "--no-default excludes" "eval: default and none" "${eval[@]}" --default c --no-default
refused 2 "--lambda and --budget" "eval: lambda and budget" "${eval[@]}" --lambda 1 --budget 1
refused 1 "the pool has no model" "eval: unknown default" "${eval[@]}" --default d
says "lambda" "eval --budget" "${eval[@]}" --budget 1
json "eval --max-cost" "${eval[@]}" --max-cost 0.5 --json
says '"mean_cost":0,' "eval --max-cost" cat "$T/json"
"$npy" make "$T/y-one.npy" u1 1,4 1 0 1 1
refused 1 "--budget" "eval: a budget below all" "$LOCUS" eval --router "$T/dear.safetensors" --encodings "$S/q_test.npy" --scores "$T/y-one.npy" --budget 1

# ---- costs
"$npy" make "$T/cost.npy" f8 3,4 1.5e-6 2e-6 1e-6 3e-6 1e-7 1e-7 2e-7 1e-7 5e-5 4e-5 3e-5 2e-5
priced=("${eval[@]}" --costs "$T/cost.npy")
ok "eval --costs" "${priced[@]}"
cp "$T/out" "$T/priced.txt"
says "AIQ: router" "eval --costs" cat "$T/priced.txt"
says "zero router" "eval --costs: next to the zero router" cat "$T/priced.txt"
says "oracle" "eval --costs: next to the oracle" cat "$T/priced.txt"
says "costs of --costs" "eval --costs: where they come from" cat "$T/priced.txt"
json "eval --costs --json" "${priced[@]}" --json --svg "$T/frontier.svg"
for key in aiq zero_aiq aiq_gain at_leader_cost quality points zero singles random oracle best_single; do
    says "\"$key\":" "eval --costs --json: $key" cat "$T/json"
done
says '"model":"model ü","cost":1.25e-07' "eval --costs: tiny costs stay what they are" cat "$T/json"
picture "frontier" "$T/frontier.svg" "Quality against cost"
picture "frontier: names" "$T/frontier.svg" "model ü"
refused 1 "cannot be written" "frontier into a folder that is missing" "${priced[@]}" --svg "$T/none/x.svg"
for d in f4 f2 i4 i8 u1; do
    ok "costs as $d" "$npy" make "$T/cost-$d.npy" $d 3,4 1 0 1 0 0 1 1 1 1 0 0 1
    ok "eval --costs as $d" "${eval[@]}" --costs "$T/cost-$d.npy"
    cp "$T/out" "$T/out-$d"
    same "eval: costs as $d" "$T/out-$d" "$T/out-f4"
done
says "APGR" "eval --weak --strong" "${eval[@]}" --weak c --strong "model ü"
says "there is none to recover" "eval: a weak one that is better" "${eval[@]}" --weak "model ü" --strong c
json "eval --weak --strong --json" "${eval[@]}" --weak "model ü" --strong c --json
says '"recovered":' "eval --weak --strong --json" cat "$T/json"
refused 2 "go together" "eval: a weak one alone" "${eval[@]}" --weak c
refused 2 "twice" "eval: weak and strong the same" "${eval[@]}" --weak c --strong c
refused 1 "--strong" "eval: no such strong one" "${eval[@]}" --weak c --strong d
"$npy" make "$T/cost-bad.npy" f8 3,4 1 1 1 1 1 1 -1 1 1 1 1 1
refused 1 'model model ü, query 2: expected a number from 0, found -1' "a negative cost" "${eval[@]}" --costs "$T/cost-bad.npy"
"$npy" make "$T/cost-bad.npy" f8 3,4 1 1 1 1 1 nan 1 1 1 1 1 1
refused 1 'model model ü, query 1: expected a number from 0, found nan; --allow-unpriced' "an unknown cost" "${eval[@]}" --costs "$T/cost-bad.npy"
ok "an unknown cost, allowed" "${eval[@]}" --costs "$T/cost-bad.npy" --allow-unpriced
"$npy" make "$T/cost-hole.npy" f8 3,4 1 1 nan 1 1 1 1 1 1 nan 1 1
ok "unknown costs where there are no scores" "${eval[@]}" --costs "$T/cost-hole.npy"
"$npy" make "$T/cost-bad.npy" f8 3,4 1 1 1 1 1 inf 1 1 1 1 1 1
refused 1 'query 1' "an infinite cost" "${eval[@]}" --costs "$T/cost-bad.npy"
refused 1 "expected [3, 4] (as --scores), found [1, 4]" "costs of another shape" "${eval[@]}" --costs "$T/y-one.npy"
refused 1 "--costs" "no such costs" "${eval[@]}" --costs "$T/none.npy"
refused 2 "exclude" "costs and prices" "${priced[@]}" --prices "$T/m.csv"
refused 2 "--svg needs costs" "eval: a picture of nothing" "$LOCUS" eval --net "$S/model.safetensors" --pool "$T/tiny.safetensors" --encodings "$S/q_test.npy" --scores "$T/ye.npy" --svg "$T/x.svg"

# ---- prices
printf 'Name,USD in per M,usd_out_per_m,price_src\n"a, ""b""",3,15,list\nmodel ü,0.5,1.5,tier: x\nc,,,\n' >"$T/prices.csv"
"$npy" make "$T/tokens.npy" i4 4 1000 2000 0 40
prices=("${eval[@]}" --prices "$T/prices.csv" --tokens-in "$T/tokens.npy")
says "no price: c (no candidates where costs count; --allow-unpriced)" "prices: an unknown one" "${prices[@]}"
says "256 tokens an answer assumed: see --tokens-out" "prices: what is assumed" "${prices[@]}"
json "prices --json" "${prices[@]}" --tokens-out 200 --json
says '"answer_tokens":200' "prices: tokens out" cat "$T/json"
ok "prices: an unknown price is no free one" sh -c "! awk '/\"singles\"/ { on = 1 } on' '$T/json' | grep -q '\"model\":\"c\"'"
says '"cost":0.00604,' "prices: 3 dollars in, 15 out, 3040 / 3 and 200 tokens" cat "$T/json"
says "allowed: where costs count" "prices: an unknown one, allowed" "${prices[@]}" --allow-unpriced
"$npy" make "$T/out-q.npy" i4 4 10 20 30 40
"$npy" make "$T/out-m.npy" f8 3 10 20 30.5
"$npy" make "$T/out-mq.npy" f4 3,4 10 20 30 40 50
for t in q m mq; do ok "tokens out by $t" "${prices[@]}" --tokens-out "$T/out-$t.npy"; done
"$npy" make "$T/out-bad.npy" f8 5 1
refused 1 "expected [4] (queries), [3] (models) or [3, 4], found [5]" "tokens out of another size" "${prices[@]}" --tokens-out "$T/out-bad.npy"
refused 2 "--tokens-out" "tokens out: no number" "${prices[@]}" --tokens-out many
"$npy" make "$T/out-bad.npy" f8 4 1 -1 1 1
refused 1 "query 1" "negative tokens out" "${prices[@]}" --tokens-out "$T/out-bad.npy"
refused 1 "query 1" "negative tokens in" "${eval[@]}" --prices "$T/prices.csv" --tokens-in "$T/out-bad.npy"
refused 1 "expected 4 numbers" "tokens in of another size" "${eval[@]}" --prices "$T/prices.csv" --tokens-in "$T/out-m.npy"
refused 2 "need --tokens-in" "prices by token without tokens" "${eval[@]}" --prices "$T/prices.csv"
refused 2 "need --prices" "tokens without prices" "${eval[@]}" --tokens-in "$T/tokens.npy"
bad_prices() { # bad_prices TEXT NAME CONTENT
    printf "$3" >"$T/bad.csv"
    refused 1 "$1" "prices: $2" "${eval[@]}" --prices "$T/bad.csv" --tokens-in "$T/tokens.npy"
}
bad_prices 'line 2: the pool has no model "cc"' "a model that is not there" 'name,cost\ncc,1\n'
bad_prices 'did you mean c?' "a model misspelt" 'name,cost\nC,1\n'
bad_prices "twice" "a name twice" 'name,cost\nc,1\nc,2\n'
bad_prices "column input_cost_per_token looks like a price in another form" "per token" 'name,input_cost_per_token,output_cost_per_token\nc,1e-6,2e-6\n'
bad_prices "column usd_in_per_1k looks like a price" "per thousand" 'name,usd_in_per_1k,usd_in_per_m,usd_out_per_m\nc,1,1,1\n'
bad_prices "column price looks like a price" "of nobody knows what" 'name,price,cost\nc,1,1\n'
bad_prices "usd_in_per_m needs one of the output price" "in alone" 'name,usd_in_per_m\nc,1\n'
bad_prices "found none of them" "no price at all" 'name,params\nc,1\n'
bad_prices 'column "name"' "no names" 'cost\n1\n'
bad_prices "say the same" "two columns of one kind" 'name,usd_in_per_m,input_price_per_million,usd_out_per_m\nc,1,1,1\n'
bad_prices "line 3: usd_in_per_m: expected a number from 0" "a negative price" 'name,usd_in_per_m,usd_out_per_m\nc,1,1\nmodel ü,-1,1\n'
bad_prices "line 2: cost: expected a number from 0" "NaN" 'name,cost\nc,nan\n'
bad_prices "keep one of them" "both kinds for one model" 'name,cost,usd_in_per_m,usd_out_per_m\nc,1,2,3\n'
bad_prices "line 2: expected 2 fields" "too few fields" 'name,cost\nc\n'
for head in "input_price_per_million,output_price_per_million" "Input price ($ / 1M tokens),Output price ($ / 1M tokens)" "promptPerM,completionPerM" "USD per million input tokens,USD per million output tokens"; do
    printf 'name,%s\nc,1,2\nmodel ü,1,2\n' "$head" >"$T/p.csv"
    ok "prices: $head" "${eval[@]}" --prices "$T/p.csv" --tokens-in "$T/tokens.npy"
done
printf 'name,cost\nc,1\nmodel ü,2\n"a, ""b""",3\n' >"$T/flat.csv"
ok "prices by query need no tokens" "${eval[@]}" --prices "$T/flat.csv"
printf 'name\nc\nmodel ü\n"a, ""b"""\n' >"$T/three.csv"
printf 'name,cost\nc,1\nmodel ü,2\nother,9\n"a, ""b""",3\n' >"$T/more.csv"
refused 1 'no model "other"' "prices of more models" "${eval[@]}" --prices "$T/more.csv"
printf 'name\n"a, ""b"""\nmodel ü\nc\nother\n' >"$T/four.csv"
ok "scores of more models" "$npy" make "$T/y4.npy" u1 4,4 1 0 255 1 0 0 1 1 1 255 0 0 1 1 1 1
ok "prices of models that --models knows" "$LOCUS" eval --router "$R" --encodings "$S/q_test.npy" --scores "$T/y4.npy" --models "$T/four.csv" --prices "$T/more.csv"

# ---- route with costs and guard
json "route --costs" "${route[@]}" --costs "$T/cost.npy" --lambda 1e9 --json
ok "route --costs: the cheapest of each query" sh -c "! grep -o '\"ranked\":\[{[^}]*' '$T/json' | grep -qv 'model ü'"
says '"cost":2e-07' "route --costs: tiny costs stay what they are" cat "$T/json"
json "route --prices" "${route[@]}" --prices "$T/prices.csv" --tokens-in "$T/tokens.npy" --top 3 --available c,"model ü" --json
says '"cost":null' "route: an unknown cost is null" cat "$T/json"
says '  -  ' "route: an unknown cost is -" "${route[@]}" --prices "$T/prices.csv" --tokens-in "$T/tokens.npy" --top 3 --available c,"model ü"
json "route: unknown is not free" "${route[@]}" --prices "$T/prices.csv" --tokens-in "$T/tokens.npy" --available c,"model ü" --max-cost 100 --json
ok "route: unknown is not free" sh -c "! grep -q '\"model\":\"c\"' '$T/json'"
refused 1 "--allow-unpriced" "route: nothing but unknown" "${route[@]}" --prices "$T/prices.csv" --tokens-in "$T/tokens.npy" --available c --max-cost 100
ok "route: unknown, allowed" "${route[@]}" --prices "$T/prices.csv" --tokens-in "$T/tokens.npy" --available c --max-cost 100 --allow-unpriced
refused 1 "expected [3, 4] (the models of the pool, the rows of --encodings)" "route: costs of another shape" "${route[@]}" --costs "$T/y4.npy"
printf 'name,cost\nYi-34B,2\ngemma-7b,0.001\n' >"$T/yi.csv"
says "gemma-7b" "route a question by prices" "$LOCUS" route --router examples/data/router.safetensors --text "What is 2 + 2?" --prices "$T/yi.csv" --lambda 100 --top 1
printf 'name,usd_in_per_m,usd_out_per_m\nYi-34B,1000000,0\n' >"$T/yi.csv"
says "  4  " "a question's tokens" "$LOCUS" route --router examples/data/router.safetensors --text "sixteen letters." --prices "$T/yi.csv" --tokens-out 1 --available Yi-34B
ok "a pool without costs" "${embed_ok[@]}" --no-default --out "$T/unpriced.safetensors" --with-net predictor
says "-  " "info: an unknown cost" "$LOCUS" info "$T/unpriced.safetensors"
says "made by version 0.3" "info: an older memory" "$LOCUS" info examples/data/router.safetensors
json "info --json: an older memory" "$LOCUS" info --json examples/data/router.safetensors
says '"gives":"logits"' "info --json: what an older memory gives" cat "$T/json"
json "info --json: an unknown cost" "$LOCUS" info --json "$T/unpriced.safetensors"
says '"cost":null' "info --json: an unknown cost" cat "$T/json"
says '"guard":null' "info --json: no guard" cat "$T/json"
refused 1 "--allow-unpriced" "a limit where no cost is known" "$LOCUS" route --router "$T/unpriced.safetensors" --encodings "$S/q_test.npy" --max-cost 1
ok "a guard in a pool file" "$npy" guard "$R" "$T/guarded.safetensors" 1 0.9
says "model ü stays unless another gains more than 0.9" "info: the guard" "$LOCUS" info "$T/guarded.safetensors"
json "info --json: the guard" "$LOCUS" info --json "$T/guarded.safetensors"
says '"guard":{"model":"model ü","margin":0.9}' "info --json: the guard" cat "$T/json"
guarded=("$LOCUS" route --router "$T/guarded.safetensors" --encodings "$S/q_test.npy")
says "default-kept" "route: the pool's guard" "${guarded[@]}"
ok "route --no-default" sh -c '! "$@" | grep -q default' sh "${guarded[@]}" --no-default
says "best" "route --no-default" "${guarded[@]}" --no-default
says "default-excluded" "route: the guard is not available" "${guarded[@]}" --available 'c'
ok "route: another margin" "${guarded[@]}" --margin 0
says "model ü stays unless another gains more than 0.9" "eval: the pool's guard" "$LOCUS" eval --router "$T/guarded.safetensors" --encodings "$S/q_test.npy" --scores "$T/ye.npy"

# ---- the other examples
program route examples/route.c
program onboard examples/onboard.c
says "query 3:" "route.c" "$T/route" "$R" "$S/q_test.npy"
"$npy" make "$T/yn.npy" u1 5 1 0 255 1 0
says "refined: 4 models" "onboard.c" "$T/onboard" "$T/all.safetensors" "$S/q_anchor.npy" "$T/yn.npy" newcomer "$S/q_test.npy" "$T/grown.safetensors"
says "newcomer" "the new model is in the file" "$LOCUS" info "$T/grown.safetensors"
says "refined: 4 models" "the same name again" "$T/onboard" "$T/grown.safetensors" "$S/q_anchor.npy" "$T/yn.npy" newcomer "$S/q_test.npy" "$T/grown2.safetensors"
ok "it is there once, known better" test "$("$LOCUS" info "$T/grown2.safetensors" | grep -c newcomer)" = 1

# ---- real data: the figures of the checkpoint
D=$SHARED/data/mmlu-pro
for K in "$SHARED/checkpoints/mmlu-pro-256" "$SHARED/checkpoints/mmlu-pro-256-bce"; do
    [ -e "$K/expected.json" ] && [ -e "$D/scores.npy" ] || continue
    k=$(basename "$K")
    ok "$k: embed" "$LOCUS" embed --memory 0 --no-default --net "$K/model.safetensors" --encodings "$D/encodings.npy" --scores "$D/scores.npy" \
        --queries "$K/anchors.npy" --model-rows "$K/models.npy" --models "$D/models.csv" --out "$T/mmlu.safetensors"
    ok "$k: embed" "$LOCUS" embed --memory 0 --net "$K/model.safetensors" --encodings "$D/encodings.npy" --scores "$D/scores.npy" \
        --queries "$K/anchors.npy" --model-rows "$K/models.npy" --out "$T/mmlu.npy"
    ok "$k: z" "$npy" "$T/mmlu.npy" "$K/z.npy" 2e-5
    ok "$k: test queries" "$npy" rows "$D/encodings.npy" "$T/qt.npy" "$D/split.npy" 2
    ok "$k: predict" "$LOCUS" predict --net "$K/model.safetensors" --pool "$T/mmlu.safetensors" --encodings "$T/qt.npy" --logits --out "$T/lt.npy"
    ok "$k: logits" "$npy" "$T/lt.npy" "$K/logits_test.npy" 2e-5
    for part in test_all_queries test_fully_scored_queries; do
        fully=$([ $part = test_all_queries ] || echo --fully-scored)
        json "$k: eval $part" "$LOCUS" eval --net "$K/model.safetensors" --pool "$T/mmlu.safetensors" --encodings "$D/encodings.npy" \
            --scores "$D/scores.npy" --models "$D/models.csv" --split "$D/split.npy" --use test \
            --categories "$D/queries.jsonl" --among all $fully --json
        sed -n "/\"$part\"/,/}/p" "$K/expected.json" >"$T/expected"
        for pair in queries:queries:0 pairs:pairs:0 hit1:hit1:1e-12 hit3:hit3:1e-12 hit5:hit5:1e-12 bce:bce:1e-5 \
            brier:brier:1e-5 prediction_accuracy:prediction_accuracy:1e-12 best_single_model_hit1:best_single_hit1:1e-12 \
            oracle_hit1:oracle_hit1:1e-12 models_routed_to:models_routed:0; do
            IFS=: read -r theirs ours tolerance <<<"$pair"
            want=$(sed -n "s/.*\"$theirs\": *\([0-9.e-]*\).*/\1/p" "$T/expected" | head -n 1)
            have=$(sed "s/.*\"overall\"//" "$T/json" | sed -n "s/^[^}]*\"$ours\":\([0-9.e-]*\).*/\1/p" | head -n 1)
            ok "$k: $part: $ours $have, expected $want" awk -v a="$have" -v b="$want" -v t="$tolerance" \
                'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && b != "" && d <= t) }'
        done
    done
done

# ---- exploring, comparing, selecting: the shipped router, its sample of queries, and made-up answers to them
X=examples/data/router.safetensors C=examples/data/profile.txt
pool=(--router $X) sample=(--router $X --encodings examples/data/profile.npy)
ok "answers: chance, and the second model copies the first" "$npy" make "$T/answers.npy" u1 25,558 $(awk 'BEGIN {
    for (m = 0; m < 25; m++) for (q = 0; q < 558; q++) { s = (s * 16807 + 11) % 2147483647; y[m * 558 + q] = s % 100 < 40 }
    for (q = 0; q < 558; q++) y[558 + q] = q % 9 ? y[q] : 255
    for (i = 0; i < 25 * 558; i++) print y[i] }')
scored=("${sample[@]}" --scores "$T/answers.npy")

says "neighbour" "compare" "$LOCUS" compare Yi-34B Yi-6B "${pool[@]}"
says "expected agreement" "compare by chances" "$LOCUS" compare Yi-34B Yi-6B "${sample[@]}" --categories $C
says "philosophy" "compare by category" "$LOCUS" compare Yi-34B Yi-6B "${sample[@]}" --categories $C
says "observed agreement   100.0 %" "compare: observed" "$LOCUS" compare c4ai-command-r-v01 gemma-7b "${scored[@]}"
json "compare --json" "$LOCUS" compare Yi-34B Yi-6B "${scored[@]}" --categories $C --json --svg "$T/compare.svg"
picture "compare --svg" "$T/compare.svg" "Yi-34B, Yi-6B"
refused 1 "A: the pool has no model \"Yi-43B\" (did you mean Yi-34B?)" "compare: unknown A" "$LOCUS" compare Yi-43B Yi-6B "${pool[@]}"
refused 1 "did you mean Yi-6B?" "compare: unknown B" "$LOCUS" compare Yi-34B Yi-6 "${pool[@]}"
refused 2 "twice" "compare: one model" "$LOCUS" compare Yi-34B Yi-34B "${pool[@]}"
refused 2 "B is required" "compare: no B" "$LOCUS" compare Yi-34B "${pool[@]}"
refused 2 "--scores needs --encodings" "compare: scores of nothing" "$LOCUS" compare Yi-34B Yi-6B "${pool[@]}" --scores "$T/answers.npy"
refused 2 "--encodings" "compare: a picture of nothing" "$LOCUS" compare Yi-34B Yi-6B "${pool[@]}" --svg "$T/x.svg"
refused 1 "--scores" "compare: scores of another shape" "$LOCUS" compare Yi-34B Yi-6B "${sample[@]}" --scores "$T/wide.npy"

json "neighbours --json" "$LOCUS" neighbours Yi-34B "${sample[@]}" --top 3 --json
says '"metric":"chances"' "neighbours: by chances where there are queries" cat "$T/json"
for m in cosine euclidean disagreement chances; do
    ok "neighbours by $m" "$LOCUS" neighbours Yi-34B "${sample[@]}" --metric $m --top 99 --threads 1
    cp "$T/out" "$T/out1"
    ok "neighbours by $m with 3 threads" "$LOCUS" neighbours Yi-34B "${sample[@]}" --metric $m --top 99 --threads 3
    cp "$T/out" "$T/out3"
    same "neighbours by $m: threads change nothing" "$T/out1" "$T/out3"
    ok "neighbours by $m: all others" test "$(wc -l <"$T/out1")" = 25
    ok "neighbours by $m: it is not its own" sh -c "! grep -q Yi-34B '$T/out1'"
done
ok "neighbours: a stand-in" "$LOCUS" neighbours Yi-34B "${sample[@]}" --available gemma-7b,Yi-6B
ok "neighbours: two could" test "$(wc -l <"$T/out")" = 3
ok "neighbours of all" "$LOCUS" neighbours "${pool[@]}" --svg "$T/map.svg" --html "$T/map.html"
picture "map" "$T/map.svg" "Meta-Llama-3_1-8B-Instruct"
picture "map in a page" "$T/map.html" "Meta-Llama-3_1-8B-Instruct"
says "<!DOCTYPE html>" "map in a page" head -n 1 "$T/map.html"
ok "neighbours, pictured" "$LOCUS" neighbours Yi-34B "${sample[@]}" --svg "$T/near.svg"
picture "neighbours, pictured" "$T/near.svg" "Neighbours of Yi-34B"
refused 2 "--metric disagreement needs" "neighbours: chances of nothing" "$LOCUS" neighbours "${pool[@]}" --metric disagreement
refused 2 "--metric" "neighbours: unknown metric" "$LOCUS" neighbours "${pool[@]}" --metric manhattan
refused 1 "did you mean gemma-7b" "neighbours: unknown model" "$LOCUS" neighbours gema-7b "${pool[@]}"

for l in average complete single ward; do
    says "3 clusters of 25" "cluster, $l" "$LOCUS" cluster "${pool[@]}" --metric euclidean --linkage $l --count 3
done
says "25 clusters" "cluster at height 0" "$LOCUS" cluster "${pool[@]}" --height 0
says "1 clusters" "cluster at a great height" "$LOCUS" cluster "${pool[@]}" --height 9
printf 'name\n<b>&"\047\nmodel ü\n%0100d\n' 7 >"$T/odd.csv"
ok "embed odd names" "${embed_ok[@]}" --models "$T/odd.csv" --out "$T/odd.safetensors" --with-net all
ok "cluster odd names" "$LOCUS" cluster --router "$T/odd.safetensors" --svg "$T/odd.svg"
picture "odd names are escaped" "$T/odd.svg" "&lt;b&gt;&amp;&quot;&#39;"
picture "odd names stay" "$T/odd.svg" "model ü"
json "cluster --json" "$LOCUS" cluster "${sample[@]}" --linkage ward --json --svg "$T/tree.svg" --html "$T/tree.html"
picture "tree" "$T/tree.svg" "Clusters of 25 models"
picture "tree in a page" "$T/tree.html" "Yi-6b-Chat"
ok "cluster: a cell of each pair or fewer" test "$(grep -c "class='crisp h" "$T/tree.svg")" -ge 12
refused 2 "exclude" "cluster: count and height" "$LOCUS" cluster "${pool[@]}" --count 2 --height 1
refused 2 "ward" "cluster: ward by cosine" "$LOCUS" cluster "${pool[@]}" --linkage ward --metric cosine
refused 1 "--count" "cluster: more than there are" "$LOCUS" cluster "${pool[@]}" --count 26
refused 2 "--height" "cluster: bad height" "$LOCUS" cluster "${pool[@]}" --height -1

says "bound" "portfolio" "$LOCUS" portfolio "${sample[@]}" --count 3
json "portfolio --json" "$LOCUS" portfolio "${scored[@]}" --budget 50 --json --svg "$T/curve.svg"
picture "portfolio curve" "$T/curve.svg" "k-center"
picture "portfolio curve, measured" "$T/curve.svg" "measured"
ok "portfolio: within the budget, below the bound: $(cut -c1-150 "$T/json")" awk '{
    match($0, /"cost":[0-9.e+-]*/); cost = substr($0, RSTART + 7, RLENGTH - 7)
    match($0, /"value":[0-9.e+-]*/); value = substr($0, RSTART + 8, RLENGTH - 8)
    match($0, /"bound":[0-9.e+-]*/); bound = substr($0, RSTART + 8, RLENGTH - 8)
    exit !(cost > 0 && cost <= 50 && value > 0.3 && value <= bound + 1e-9) }' "$T/json"
for m in centers medoids; do
    json "portfolio by $m" "$LOCUS" portfolio "${pool[@]}" --method $m --count 4 --json
    ok "portfolio by $m: four" test "$(grep -o '"index"' "$T/json" | wc -l)" = 4
done
ok "portfolio by coverage" "$LOCUS" portfolio "${pool[@]}" --method coverage --budget 60
says "Yi-6B" "portfolio of what is available" "$LOCUS" portfolio "${sample[@]}" --available Yi-6B
refused 1 "--count" "portfolio: more than there are" "$LOCUS" portfolio "${sample[@]}" --count 26
refused 2 "--encodings" "portfolio: value of nothing" "$LOCUS" portfolio "${pool[@]}"
refused 2 "--budget" "portfolio: coverage without a budget" "$LOCUS" portfolio "${pool[@]}" --method coverage
refused 2 "--budget" "portfolio: centers with one" "$LOCUS" portfolio "${pool[@]}" --method centers --budget 3
refused 1 "--budget" "portfolio: nothing so cheap" "$LOCUS" portfolio "${sample[@]}" --budget 0.001

search=("$LOCUS" search "${sample[@]}" --categories $C)
says "Meta-Llama-3" "search" "${search[@]}" --want "math=60%,law=0.4:2" --top 3
json "search --json" "${search[@]}" --want "math=0.6,computer science=0.5:0.5" --json
json "search --synthetic" "${search[@]}" --want "math=0.6" --synthetic --json
says '"way":"synthetic"' "search --synthetic" cat "$T/json"
refused 1 "did you mean math?" "search: unknown category" "${search[@]}" --want "maths=0.6"
refused 2 "0 to 1" "search: no accuracy" "${search[@]}" --want "math=60"
refused 2 "CATEGORY=ACCURACY" "search: no wish" "${search[@]}" --want "math"
refused 2 "weight" "search: bad weight" "${search[@]}" --want "math=0.5:x"
refused 2 "twice" "search: a wish twice" "${search[@]}" --want "math=0.5,math=0.6"
refused 2 "--categories" "search: no categories" "$LOCUS" search "${sample[@]}" --want "math=0.5"
refused 2 "--want" "search: nothing wished" "${search[@]}"

says "candidates" "duplicates by distance" "$LOCUS" duplicates "${pool[@]}" --top 3
says "1 of 300 pairs called the same" "duplicates: the copy is found, and no other" "$LOCUS" duplicates "${scored[@]}"
cp "$T/out" "$T/out1"
says "same or copies" "duplicates: the copy comes first" sed -n 2p "$T/out1"
json "duplicates --json" "$LOCUS" duplicates "${scored[@]}" --json --svg "$T/pairs.svg"
picture "duplicates --svg" "$T/pairs.svg" "c4ai-command-r-v01, gemma-7b"

new=(--encodings examples/data/new_encodings.npy)
ok "answers so far" "$npy" make "$T/sofar.npy" u1 256 $(awk 'BEGIN { for (i = 0; i < 256; i++) print i % 8 ? 255 : i % 3 == 0 }')
says "query row" "next" "$LOCUS" next "${pool[@]}" "${new[@]}" --scores "$T/sofar.npy" --batch 4
json "next --json" "$LOCUS" next "${pool[@]}" "${new[@]}" --scores "$T/sofar.npy" --batch 4 --json
ok "next: four that were not asked" awk '{
    n = 0; while (match($0, /"row":[0-9]+/)) { row = substr($0, RSTART + 6, RLENGTH - 6); n++; bad += row % 8 == 0; $0 = substr($0, RSTART + RLENGTH) }
    exit !(n == 4 && !bad) }' "$T/json"
ok "next: nothing known yet" "$LOCUS" next "${pool[@]}" "${new[@]}" --for-routing
refused 1 "every query is answered" "next: all asked" "$LOCUS" next "${pool[@]}" "${new[@]}" --scores examples/data/new_scores.npy
refused 1 "--scores" "next: scores of another shape" "$LOCUS" next "${pool[@]}" "${new[@]}" --scores "$T/wide.npy"
refused 1 "--scores" "next: scores of many" "$LOCUS" next "${sample[@]}" --scores "$T/answers.npy"

explain=("$LOCUS" explain "${scored[@]}")
says "Nearest evaluated queries" "explain" "${explain[@]}" Yi-34B --row 3 --top 2
says "moved it most" "explain the chosen" "${explain[@]}" --query examples/data/queries.npy --row 13 --top 2
json "explain --json" "${explain[@]}" --question "What is 2 + 2?" --json --top 2
refused 2 "--question TEXT, --query Q.npy or --row N" "explain: no query" "${explain[@]}" Yi-34B
refused 1 "--row" "explain: no such row" "${explain[@]}" Yi-34B --row 558
refused 2 "--row" "explain: bad row" "${explain[@]}" Yi-34B --row x
refused 2 "--question excludes" "explain: two queries" "${explain[@]}" Yi-34B --question x --row 1

cp $X "$T/mine.safetensors"
mine=("$LOCUS" update newcomer --router "$T/mine.safetensors" "${new[@]}")
refused 1 "--add" "update: unknown model" "${mine[@]}" --scores "$T/sofar.npy"
same "update: a failure leaves the file" "$T/mine.safetensors" $X
says "added, embedded from 32" "update --add" "${mine[@]}" --scores "$T/sofar.npy" --add --cost 3
says "newcomer" "update: it is in the file" "$LOCUS" info "$T/mine.safetensors"
refused 1 "already" "update: added twice" "${mine[@]}" --scores "$T/sofar.npy" --add
says "from 256 evaluations (before: 32)" "update with more" "${mine[@]}" --scores "$T/sofar.npy" "--more-encodings=${new[1]}" --more-scores examples/data/new_scores.npy
json "update with all at once" "${mine[@]}" --scores examples/data/new_scores.npy --json
ok "update: in two parts or at once: $(cat "$T/json")" awk '{
    match($0, /"moved":[0-9.e+-]*/); moved = substr($0, RSTART + 8, RLENGTH - 8); exit !(moved != "" && moved < 1e-6) }' "$T/json"
json "update: a window" "${mine[@]}" --scores examples/data/new_scores.npy --window 40 --json
says '"evaluations":40' "update: a window" cat "$T/json"
ok "update writes elsewhere" "${mine[@]}" --scores examples/data/new_scores.npy --out "$T/else.safetensors"
refused 1 "--out" "update: folder missing" "${mine[@]}" --scores "$T/sofar.npy" --out "$T/none/p.safetensors"
refused 2 "go together" "update: more of one" "${mine[@]}" --scores "$T/sofar.npy" --more-scores "$T/sofar.npy"
refused 2 "--out" "update: unknown ending" "${mine[@]}" --scores "$T/sofar.npy" --out "$T/p.npy"
refused 1 "encoder" "update: no encoder" "$LOCUS" update c --router "$R" --encodings "$S/q_anchor.npy" --scores "$S/y.npy"

says "from 32 evaluations" "update --complete" "${mine[@]}" --scores "$T/sofar.npy" --complete --out "$T/else.safetensors"
refused 2 "excludes" "update: complete a window" "${mine[@]}" --scores "$T/sofar.npy" --complete --window 3

cp $X "$T/mine.safetensors"
calibrate=("$LOCUS" calibrate --router "$T/mine.safetensors" --encodings examples/data/profile.npy --scores "$T/answers.npy")
says "ECE" "calibrate" "${calibrate[@]}" --out "$T/calibrated.safetensors" --svg "$T/reliability.svg"
same "calibrate elsewhere leaves the file" "$T/mine.safetensors" $X
picture "reliability" "$T/reliability.svg" "calibrated"
json "calibrate --json, in place" "${calibrate[@]}" --json
same "calibrate in place" "$T/mine.safetensors" "$T/calibrated.safetensors"
ok "calibrate: the error falls: $(cut -c1-200 "$T/json")" awk '{
    match($0, /"ece_before":[0-9.e-]*/); before = substr($0, RSTART + 13, RLENGTH - 13)
    match($0, /"ece_after":[0-9.e-]*/); after = substr($0, RSTART + 12, RLENGTH - 12)
    exit !(after < before && after < 0.05) }' "$T/json"
ok "a split" "$npy" make "$T/split.npy" u1 558 $(seq 0 557 | awk '{ print $1 % 3 }')
ok "calibrate with a split" "${calibrate[@]}" --split "$T/split.npy" --out "$T/c.safetensors"
ok "answers: all right in val, all wrong in test" "$npy" make "$T/opposite.npy" u1 25,558 $(seq 0 557 | awk '{ print $1 % 3 < 2 }')
json "calibrate: opposites" "$LOCUS" calibrate "${sample[@]}" --scores "$T/opposite.npy" --split "$T/split.npy" --out "$T/c.safetensors" --json
ok "calibrate: test teaches nothing: $(cut -c1-200 "$T/json")" awk '{
    match($0, /"ece_after":[0-9.e-]*/); exit !(substr($0, RSTART + 12, RLENGTH - 12) > 0.8) }' "$T/json"
refused 1 "--split" "calibrate: a split of another length" "${calibrate[@]}" --split "$T/all0.npy" --out "$T/c.safetensors"
refused 2 "--scores" "calibrate: no scores" "$LOCUS" calibrate "${sample[@]}"

mkdir "$T/empty"
for c in "neighbours Yi-34B" cluster "portfolio --count 2" duplicates "compare Yi-34B Yi-6B"; do
    refused 1 "cannot be written" "$c: a picture into a folder that is missing" "$LOCUS" $c "${sample[@]}" --svg "$T/empty/none/x.svg"
    refused 1 "cannot be written" "$c: a page over a folder" "$LOCUS" $c "${sample[@]}" --html "$T/empty"
done
ok "failed pictures leave nothing" test -z "$(ls -A "$T/empty")$(ls -A "$T" | grep 'tmp$')"

# ---- training, on made-up data
ok "encodings to train on" "$npy" make "$T/train-q.npy" f4 60,8 $(awk 'BEGIN { for (i = 0; i < 37; i++) print sin(i * i) }')
ok "scores to train on" "$npy" make "$T/train-y.npy" u1 5,60 $(awk 'BEGIN { for (i = 0; i < 41; i++) print (i * i * 7 % 11 < 5) }')
train=("$LOCUS" train --encodings "$T/train-q.npy" --scores "$T/train-y.npy" --epochs 6 --z-dim 16 --induce 4)
ok "train" "${train[@]}" --out "$T/n1.safetensors" --threads 1
ok "train, again with other threads" "${train[@]}" --out "$T/n2.safetensors" --threads 2
same "train: threads change no bit" "$T/n1.safetensors" "$T/n2.safetensors"
ok "train, another seed" "${train[@]}" --out "$T/n3.safetensors" --seed 7
refused 1 "differ" "train: another seed, other weights" sh -c "cmp '$T/n1.safetensors' '$T/n3.safetensors' >&2"
says "epoch,loss" "train: metrics" cat "$T/n1.csv"
says "<svg" "train: curve" cat "$T/n1.svg"
ok "train: six epochs and a head line" test "$(wc -l <"$T/n1.csv")" = 7
ok "embed with the trained net" "$LOCUS" embed --net "$T/n1.safetensors" --encodings "$T/train-q.npy" --scores "$T/train-y.npy" --out "$T/z.npy"
json "train --json" "${train[@]}" --out "$T/n2.safetensors" --json
ok "train, state" "${train[@]}" --out "$T/n4.safetensors" --resume "$T/state.safetensors"
ok "train, from a state at its end" "${train[@]}" --out "$T/n5.safetensors" --resume "$T/state.safetensors"
same "train: a state holds the best weights" "$T/n4.safetensors" "$T/n5.safetensors"
refused 1 "--resume" "train: a state of another seed" "${train[@]}" --out "$T/n5.safetensors" --seed 9 --resume "$T/state.safetensors"
ok "train, the paper's recipe" "${train[@]}" --recipe paper --out "$T/n6.safetensors"
refused 2 ".safetensors" "train: --out of another kind" "${train[@]}" --out "$T/n.npy"
refused 1 "--anchors" "train: more anchors than queries" "${train[@]}" --anchors 1000 --out "$T/n.safetensors"
refused 1 "--scores" "train: scores of another shape" "$LOCUS" train --encodings "$T/train-q.npy" --scores "$T/wide.npy" --out "$T/n.safetensors"
refused 1 "divisor" "train: heads that do not divide" "${train[@]}" --out "$T/n.safetensors" --heads 3
refused 2 "did you mean --epochs" "train: a flag misspelt" "${train[@]}" --out "$T/n.safetensors" --epoch 3
long=("$LOCUS" train --encodings "$T/train-q.npy" --scores "$T/train-y.npy" --epochs 100000 --out "$T/half.safetensors")
ok "train, interrupted by Ctrl-C" sh -c '"$@" & p=$!; sleep 1; kill -INT $p; wait $p' sh "${long[@]}" --resume "$T/half-state.safetensors"
says "net" "train: what it leaves is a whole net" "$LOCUS" info "$T/half.safetensors"
says "state.weights" "train: and a state" "$LOCUS" info --all "$T/half-state.safetensors"

# ---- what embed learns beside the embeddings: the memory, with the weight that training found, and the guard
learned=("$LOCUS" embed --net "$T/n1.safetensors" --encodings "$T/train-q.npy" --scores "$T/train-y.npy")
ok "embed, memory and guard" "${learned[@]}" --out "$T/learned.safetensors"
ok "embed says nothing" sh -c "! test -s '$T/out' && ! test -s '$T/err'"
says "stays unless another gains more than" "info: the guard that embed learned" "$LOCUS" info "$T/learned.safetensors"
says "memory.directions" "info: the memory" "$LOCUS" info --all "$T/learned.safetensors"
json "info --json: the guard that embed learned" "$LOCUS" info --json "$T/learned.safetensors"
says '"guard":{"model":"model-' "info --json: the guard that embed learned" cat "$T/json"
for threads in 1 2 5; do
    ok "embed --threads $threads" "${learned[@]}" --threads $threads --out "$T/z.safetensors"
    same "embed: threads change no bit of memory and guard" "$T/z.safetensors" "$T/learned.safetensors"
done
says "guard: model-" "eval: the learned guard" "$LOCUS" eval --net "$T/n1.safetensors" --pool "$T/learned.safetensors" --encodings "$T/train-q.npy" --scores "$T/train-y.npy"
ok "embed --no-default" "${learned[@]}" --no-default --out "$T/z.safetensors"
ok "embed --no-default: no guard" sh -c '! "$@" | grep -q "stays unless"' sh "$LOCUS" info "$T/z.safetensors"
json "embed --no-default: no guard" "$LOCUS" info --json "$T/z.safetensors"
says '"guard":null' "embed --no-default: no guard" cat "$T/json"
ok "embed --memory 0" "${learned[@]}" --memory 0 --out "$T/z.safetensors"
says "stays unless another gains more than" "embed --memory 0: a guard" "$LOCUS" info "$T/z.safetensors"
ok "embed --memory 0: no memory" sh -c '! "$@" | grep -q memory' sh "$LOCUS" info --all "$T/z.safetensors"
json "info --json: the memory's weight" "$LOCUS" info --json "$T/n1.safetensors"
percent=$(sed -n 's/.*"memory_weight":"\([0-9]*\)".*/\1/p' "$T/json")
ok "train finds the memory's weight ($percent)" test "${percent:-0}" -ge 1 -a "${percent:-0}" -le 100
ok "embed --memory" "${learned[@]}" --memory "$(awk -v p="$percent" 'BEGIN { print p / 100 }')" --out "$T/z.safetensors"
same "embed: the weight that training found" "$T/z.safetensors" "$T/learned.safetensors"
ok "embed --memory 0.123" "${learned[@]}" --memory 0.123 --out "$T/z.safetensors"
refused 1 "differ" "embed: another weight, another pool" sh -c "cmp '$T/z.safetensors' '$T/learned.safetensors' >&2"
refused 1 "0 to 1" "embed --memory: too much" "${learned[@]}" --memory 1.5 --out "$T/z.safetensors"
learned[3]=$T/n6.safetensors
ok "embed, a net that says no weight" "${learned[@]}" --out "$T/y.safetensors"
ok "embed --memory 0.8" "${learned[@]}" --memory 0.8 --out "$T/z.safetensors"
same "embed: 0.8 where the net does not say" "$T/z.safetensors" "$T/y.safetensors"
learned[3]=$T/n1.safetensors
ok "a part of the queries" "$npy" make "$T/part.npy" i4 20 $(seq 3 22)
ok "the part alone" "$npy" make "$T/in-part.npy" u1 60 0 0 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 $(yes 0 | head -37)
ok "the part alone" "$npy" rows "$T/train-q.npy" "$T/part-q.npy" "$T/in-part.npy" 1
ok "embed --queries" "${learned[@]}" --queries "$T/part.npy" --out "$T/y.safetensors"
ok "embed --queries --unlabelled" "${learned[@]}" --queries "$T/part.npy" --unlabelled "$T/train-q.npy" --out "$T/z.safetensors"
same "embed --queries: all encodings for the memory's space" "$T/y.safetensors" "$T/z.safetensors"
ok "embed --queries --unlabelled, fewer" "${learned[@]}" --queries "$T/part.npy" --unlabelled "$T/part-q.npy" --out "$T/z.safetensors"
refused 1 "differ" "embed --queries: others, another space" sh -c "cmp '$T/y.safetensors' '$T/z.safetensors' >&2"

# ---- training, on real data: better than always taking the best single model, on the validation queries of open 26
if [ -e "$D/scores.npy" ]; then
    open26=$(awk -F, 'NR > 1 && $2 !~ /^(unnamed-merged-2026-02-20|MiniMax-M2.5-nvfp4|GPT-4o|gemini-1.5-.*-002|DeepSeek-Coder-V2|Meta-Llama-3_1-70B-Instruct)$/ { print NR - 2 }' "$D/models.csv")
    ok "open 26" "$npy" make "$T/open26.npy" i4 26 $open26
    json "train on mmlu-pro" "$LOCUS" train --encodings "$D/encodings.npy" --scores "$D/scores.npy" --split "$D/split.npy" \
        --model-rows "$T/open26.npy" --anchors 1024 --out "$T/real.safetensors" --json
    ok "train on mmlu-pro: $(cat "$T/json")" awk '{
        match($0, /"hit1":[0-9.e-]*/); hit = substr($0, RSTART + 7, RLENGTH - 7)
        match($0, /"best_single_hit1":[0-9.e-]*/); single = substr($0, RSTART + 19, RLENGTH - 19)
        exit !(hit > single + 0.01) }' "$T/json"
else
    echo "skipped: training on real data needs $D"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
