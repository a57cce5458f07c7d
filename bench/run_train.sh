#!/bin/sh
# Builds the benchmark of training, runs it with its peer and writes bench/RESULTS-training.md. Options go on to
# build/bench_train. Nothing else should run meanwhile. BENCH_KEEP_TUNING=1 keeps the BLAS choice of an earlier run.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
[ -n "${BENCH_KEEP_TUNING:-}" ] || rm -f build/bench-data/peer-train-env-*.txt
${CC:-cc} -O2 bench/bench_train.c -o build/bench_train -lm -pthread
if [ -r /proc/loadavg ] && ! awk '{ exit $1 > 0.7 }' /proc/loadavg; then
    echo "bench: other work is running (load $(cut -d' ' -f1 /proc/loadavg)): figures will be too low" >&2
fi
build/bench_train --markdown bench/RESULTS-training.md "$@"
echo "written: bench/RESULTS-training.md"
