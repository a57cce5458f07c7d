#!/usr/bin/env bash
# locus atlas: wrong use, the page's text, and the page in use, in Chromium where chromedriver and python3 are installed. Ends with
# "N passed, N failed".
#
#     tests/test_atlas.sh      LOCUS=path of the binary (build/locus), KEEP=folder to leave the pages in
cd "$(dirname "$0")/.." || exit 1
LOCUS=${LOCUS:-build/locus} DATA=examples/data
passed=0 failed=0
if [ -n "${KEEP:-}" ]; then T=$KEEP && mkdir -p "$T"; else
    T=$(mktemp -d) || exit 1
    trap 'rm -rf "$T"' EXIT
fi

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
has() { grep -qF -e "$1" "$2"; }
lacks() { ! grep -qiE -e "$1" "$2"; }
count() { [ "$(grep -ciF -e "$2" "$3")" = "$1" ]; }

router=$DATA/router.safetensors
atlas=("$LOCUS" atlas --router $router --encodings $DATA/profile.npy)

# ---- wrong use
refused 2 "--html" "no place for the page" "${atlas[@]}"
refused 2 "--count" "no cluster" "${atlas[@]}" --html "$T/no.html" --count 0
refused 2 "need --scores" "resamples of nothing" "${atlas[@]}" --html "$T/no.html" --resamples 8
refused 2 "is required" "no sample" "$LOCUS" atlas --router $router --html "$T/no.html"
refused 1 "558 entries" "categories of other queries" "${atlas[@]}" --categories $DATA/queries.txt --html "$T/no.html"
refused 1 "cannot be written" "no such folder" "${atlas[@]}" --html "$T/none/no.html"
refused 1 "--scores" "scores of other queries" "${atlas[@]}" --html "$T/no.html" --scores $DATA/new_scores.npy
ok "nothing was written" test ! -e "$T/no.html"

# ---- the page as a text
ok "atlas_page.c is made from atlas.html" tests/make_page.sh --check
ok "a page" "${atlas[@]}" --categories $DATA/profile.txt --html "$T/atlas.html"
ok "no temporary file is left" test ! -e "$T/atlas.html.tmp"
ok "it reaches for nothing" lacks 'https?://|//[a-z0-9-]+\.[a-z]|@import|url\(|src=|<link (rel="stylesheet|.*href="[^d])|fetch\(|XMLHttpRequest|WebSocket|sendBeacon' "$T/atlas.html"
ok "and forbids itself to" has "default-src 'none'" "$T/atlas.html"
ok "one page, whole" has "</html>" "$T/atlas.html"
ok "the data stand in it" has '"names":["c4ai-command-r-v01"' "$T/atlas.html"
ok "and the mark of their place does not" lacks '^ATLAS_DATA' "$T/atlas.html"
for threads in 1 2 5; do
    ok "with $threads threads" "${atlas[@]}" --categories $DATA/profile.txt --html "$T/again.html" --threads $threads
    ok "the same page with $threads threads" cmp "$T/atlas.html" "$T/again.html"
done
ok "two clusters" "${atlas[@]}" --html "$T/two.html" --count 2
ok "have two middles" grep -qE '^"medoids":\[[0-9]+,[0-9]+\],' "$T/two.html"
ok "more clusters than models" "${atlas[@]}" --html "$T/two.html" --count 1000

have() { command -v "$1" >/dev/null 2>&1; }
if have python3; then
    driver="python3 tests/atlas_driver.py"
    for n in 1 2 12; do
        ok "a pool of $n" $driver pool $router $n "$T/z.npy" "$T/models.csv"
        ok "its page" "$LOCUS" atlas --net $router --pool "$T/z.npy" --models "$T/models.csv" --encodings $DATA/queries.npy --html "$T/pool$n.html"
        ok "hostile names open no element in a page of $n" count 2 "</script>" "$T/pool$n.html"
        ok "nor close one" lacks '<img|<b>bold|<svg/|<!--<' "$T/pool$n.html"
    done
    ok "predictions" "$LOCUS" predict --router $router --encodings $DATA/profile.npy --out "$T/p.npy"
    ok "answers" $driver scores "$T/p.npy" "$T/y.npy"
    # Two models are unavailable in it, the best one among them.
    some=$(cut -d, -f1 $DATA/models.csv | grep -vxE 'name|DeepSeek-V2-Chat|jamba-1.5-large|Yi-34B' | paste -sd, -)
    ok "a page with intervals" "${atlas[@]}" --categories $DATA/profile.txt --scores "$T/y.npy" --resamples 8 --available "$some" \
        --html "$T/intervals.html"
    ok "which two are unavailable" test "$(grep -o '^"available":.*' "$T/intervals.html" | grep -o 0 | wc -l)" = 2
fi

# ---- the page in use
if have python3 && have chromedriver && { have chromium || have chromium-browser || have google-chrome; }; then
    ok "a large pool" $driver pool $router 1000 "$T/z.npy" "$T/models.csv"
    begin=$(date +%s%N)
    ok "its page" "$LOCUS" atlas --net $router --pool "$T/z.npy" --models "$T/models.csv" --encodings $DATA/profile.npy --html "$T/large.html"
    echo "time: page of 1000 models made in $((($(date +%s%N) - begin) / 1000000)) ms, $(wc -c <"$T/large.html") bytes"
    browse() { # browse NAME ARGUMENTS...: counts the driver's lines
        local name=$1
        shift
        $driver "$@" >"$T/lines" 2>"$T/err"
        passed=$((passed + $(grep -c '^ok ' "$T/lines")))
        failed=$((failed + $(grep -c '^FAILED ' "$T/lines")))
        grep -E '^(FAILED|    )' "$T/lines" | sed "s/^FAILED /FAILED: $name: /"
        grep '^time: ' "$T/lines"
        if [ -s "$T/err" ] || ! grep -q '^ok ' "$T/lines"; then : >"$T/out" && miss "$name: the driver broke off"; fi
    }
    browse "25 models" check "$T/atlas.html"
    browse "25 models, intervals" check "$T/intervals.html" intervals
    browse "25 models, looks" looks "$T/atlas.html"
    for n in 1 2 12; do browse "$n hostile names" check "$T/pool$n.html" hostile; done
    for k in 2 4; do
        "$LOCUS" portfolio --router $router --encodings $DATA/profile.npy --count $k --json >"$T/portfolio.json"
        "$LOCUS" route --router $router --encodings $DATA/profile.npy --budget 30 --json >"$T/route.json"
        browse "beside the other commands" check "$T/atlas.html" commands "$T/portfolio.json" "$T/route.json"
    done
    ok "a pool of which one model is available" "${atlas[@]}" --available Yi-6B --html "$T/lone.html"
    for page in lone pool1 pool2 two; do browse "every model of $page" check "$T/$page.html" every; done
    browse "1000 models" check "$T/large.html" large
else
    echo "skipped: no chromium"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
