#!/usr/bin/env bash
# What the documents promise: the programs in locus.h's first comment and in README.md compile with one plain cc line
# and run on what ships here, and each example compiles with the line that stands in its first comment.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
D=examples/data W=build/docs
mkdir -p $W
ok() { # NAME, status of what was tried before
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else
        echo "FAIL $1"
        failed=$((failed + 1))
    fi
}
sed -n '/^\/\/ A complete program/,/^\/\/ Contents/p' locus.h | grep '^//     ' | sed 's,^//     ,,' >$W/header.c
awk '/^```c$/ { n++; out = sprintf("'$W'/readme%d.c", n); next } /^```/ { out = "" } out { print > out }' README.md
for f in $W/header.c $W/readme1.c; do
    ${CC:-cc} -O2 -I. $f -o $W/program -lm
    ok "$f compiles" $?
    out=$($W/program $D/router.safetensors $D/queries.npy)
    ok "$f runs" $?
    case $out in *%*) ok "$f prints a choice" 0 ;; *) ok "$f prints a choice" 1 ;; esac
done
for f in examples/*.c; do
    line=$(sed -n 's,^// *\(cc -O2 .*\)$,\1,p' $f | head -n 1)
    (eval "$line")
    ok "$f: $line" $?
done
out=$(build/onboard $D/router.safetensors $D/new_encodings.npy $D/new_scores.npy DeepSeek-V2-Chat $D/queries.npy $W/out.safetensors)
ok "examples/onboard.c runs" $?
case $out in *"DeepSeek-V2-Chat ("*) ok "the new model is chosen" 0 ;; *) ok "the new model is chosen" 1 ;; esac
shows() { # NAME, TEXT, STATUS, COMMAND...: it prints the text and ends with the status
    local name=$1 text=$2 status=$3 got
    shift 3
    out=$("$@" 2>&1)
    got=$?
    [ $got -eq $status ]
    ok "$name ends with $status (found $got)" $?
    case $out in *"$text"*) ok "$name prints \"$text\"" 0 ;; *) ok "$name prints \"$text\"" 1 ;; esac
}
shows examples/fallback.c "is down; in the list" 0 build/fallback $D/router.safetensors $D/queries.npy
shows examples/budget_portfolio.c "no set within the budget" 0 build/budget_portfolio $D/router.safetensors $D/queries.npy
shows examples/adaptive.c "accuracy" 0 build/adaptive $D/router.safetensors $D/new_encodings.npy $D/new_scores.npy DeepSeek-V2-Chat
make -s demo >$W/demo.txt
ok "make demo" $?
if command -v python3 >/dev/null; then # README's way from an embeddings endpoint to .npy
    awk '/^```python$/ { out = "'$W'/to_npy.py"; next } /^```/ { out = "" } out { print > out }' README.md
    echo '{"data": [{"index": 1, "embedding": [0.5, -1, 2]}, {"index": 0, "embedding": [1, 2, 3]}]}' >$W/e.json
    python3 $W/to_npy.py $W/e.json $W/e.npy
    ok "to_npy.py runs" $?
    case $(build/locus info $W/e.npy) in *"f4 [2, 3]"*"-1 to 3"*) ok "to_npy.py writes the array" 0 ;; *) ok "to_npy.py writes the array" 1 ;; esac
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
