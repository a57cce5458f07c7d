#!/usr/bin/env bash
# What the documents promise: the programs in locus.h's first comment and in README.md compile with one plain cc line
# and run on what ships here, each example compiles with the line that stands in its first comment, every target and
# every command that README names is there, and the contract in locus.h says what the functions do.
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
    [ $f = $W/header.c ] || ! cmp -s $W/header.c $f || continue
    ${CC:-cc} -O0 -I. $f -o $W/program -lm # that it compiles is the promise; -O2 takes four times as long
    ok "$f compiles" $?
    out=$($W/program $D/router.safetensors "Is 2^61 - 1 a prime number?")
    ok "$f runs" $?
    case $out in *%*) ok "$f prints a choice" 0 ;; *) ok "$f prints a choice" 1 ;; esac
done
for f in examples/*.c; do
    line=$(sed -n 's,^// *\(cc -O2 .*\)$,\1,p' $f | head -n 1)
    case $f:$line in examples/train_mpi.c: | *" -o build/"*) ok "$f has a line" 0 ;; *) ok "$f has a line" 1 ;; esac
    line=${line/cc -O2/${CC:-cc} -O0}
    (eval "${line/-o build\//-o $W/}")
    ok "$f: $line" $?
done
line=$(sed -n 's,^// *\(cc -O2 .*\)$,\1,p' examples/locus/main.c)
case $line in *"examples/locus/*.c -o build/locus "*) ok "examples/locus has a line" 0 ;; *) ok "examples/locus has a line" 1 ;; esac
line=${line/cc -O2/${CC:-cc} -O0}
(eval "${line/-o build\//-o $W/}")
ok "examples/locus: $line" $?
for f in examples/locus/*.c; do
    [ "$(grep -c "^#include \"locus/${f##*/}\"$" examples/locus.c)" -eq 1 ]
    ok "examples/locus.c includes $f" $?
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

# ---- every target and every command that README names
for t in $(sed -n '/^```sh/,/^```/p' README.md | sed -n 's/^make *\([a-z-]*\).*/\1/p') \
    $(grep -o '`make [a-z-]*' README.md | sed 's/.*make //'); do
    make -n "$t" >/dev/null 2>$W/make.txt
    ok "make $t: $(cat $W/make.txt)" $?
done
# The lines of README that begin with build/locus run in a folder of their own on what ships here, 558 queries whose
# texts and answers are made up, in their order: what one writes the next may read. Training takes three steps.
R=$W/readme
rm -rf $R && mkdir -p $R
ln -s ../.. $R/build
awk '{ gsub(/[\\"]/, "\\\\&"); for (i = 0; i < 40 && n < 558; i++) printf "{\"text\": \"%s variant %d\"}\n", $0, ++n }' \
    $D/queries.txt >$R/queries.jsonl
cp $D/queries.npy $R/new.npy && cp $D/profile.npy $R/q.npy && cp $D/profile.txt $R/c.txt
printf 'name,parameters_b,cost\na,1,0.1\nb,2,0.2\nc,3,0.4\nd,4,0.9\n' >$R/models.csv
ln -s router.safetensors $R/FILE
build/npydiff make $R/y.npy u1 4,558 $(awk 'BEGIN { for (i = 0; i < 2232; i++) print (i * i + int(i / 558)) % 7 < 3 }') &&
    build/npydiff make $R/split.npy u1 558 0 0 0 1 0 0 2
ok "inputs for README's commands" $?
commands=0
while IFS= read -r line; do
    line=$(sed -e 's/  *#.*//' -e 's/ \.\.\. *$/ --help/' <<<"$line")
    case $line in *"locus train "*) line="$line --epochs 3" ;; esac
    (cd $R && eval "$line") >$W/out.txt 2>&1
    ok "README: $line: $(tail -n 1 $W/out.txt)" $?
    commands=$((commands + 1))
done < <(sed -n '/^```sh/,/^```/p' README.md | grep '^build/locus ')
[ $commands -ge 9 ]
ok "README's commands were found ($commands)" $?
for c in $(sed -n 's/^|[^|]*| \(`[^|]*\) |.*/\1/p' README.md | grep -o '`[a-z]*' | tr -d '`'); do
    build/locus "$c" --help >/dev/null 2>&1
    ok "README: locus $c" $?
done

# ---- the contract in locus.h, and what lies at the top
said=$(awk -f tests/contract.awk locus.h)
printf '%s\n' "$said" | grep -q '^[0-9][0-9]* functions$' && [ "$(printf '%s\n' "$said" | wc -l)" -eq 1 ]
ok "the contract: $said" $?
top=$({ git ls-files 2>/dev/null || ls -A; } | cut -d/ -f1 | sort -u |
    grep -vxE 'locus\.h|examples|tests|bench|build|Makefile|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|\..*' | tr '\n' ' ')
[ -z "$top" ]
ok "at the top lie only the files that belong there, not $top" $?
if command -v python3 >/dev/null; then # the way from an embeddings endpoint to .npy
    echo '{"data": [{"index": 1, "embedding": [0.5, -1, 2]}, {"index": 0, "embedding": [1, 2, 3]}]}' >$W/e.json
    python3 examples/to_npy.py $W/e.json $W/e.npy
    ok "to_npy.py runs" $?
    case $(build/locus info $W/e.npy) in *"f4 [2, 3]"*"-1 to 3"*) ok "to_npy.py writes the array" 0 ;; *) ok "to_npy.py writes the array" 1 ;; esac
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
