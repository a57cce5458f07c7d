#!/bin/sh
# Builds the benchmark, runs it with its peer and writes bench/RESULTS-inference.md. Options go on to build/bench.
# Nothing else should run meanwhile. BENCH_KEEP_TUNING=1 keeps the BLAS choice of an earlier run.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
[ -n "${BENCH_KEEP_TUNING:-}" ] || rm -f build/bench-data/peer-env-*.txt
${CC:-cc} -O2 bench/bench.c -o build/bench -lm -pthread
if [ -r /proc/loadavg ] && ! awk '{ exit $1 > 0.7 }' /proc/loadavg; then
    echo "bench: other work is running (load $(cut -d' ' -f1 /proc/loadavg)): figures will be too low" >&2
fi
build/bench --markdown bench/RESULTS-inference.md "$@"
echo "written: bench/RESULTS-inference.md"
