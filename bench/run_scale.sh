#!/bin/sh
# Pools of up to 300,000 models: writes bench/RESULTS-scale.md. About ten minutes; nothing else should run meanwhile.
set -eu
cd "$(dirname "$0")/.."
if [ -r /proc/loadavg ] && ! awk '{ exit $1 > 0.7 }' /proc/loadavg; then
    echo "bench: other work is running (load $(cut -d' ' -f1 /proc/loadavg)): figures will be too low" >&2
fi
{
    echo "# Pools of very many models"
    echo
    echo "Made by \`make bench-scale\`."
    echo
    build/bench_route_scale "$@"
    echo
    build/bench_scale "$@"
} >build/RESULTS-scale.md
mv build/RESULTS-scale.md bench/RESULTS-scale.md
echo "written: bench/RESULTS-scale.md"
