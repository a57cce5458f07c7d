#!/usr/bin/env bash
# examples/train_mpi.c: two and three processes give what one gives, to rounding. Ends with "N passed, N failed".
#
#     tests/test_mpi.sh        MPICC=compiler (mpicc), CFLAGS=its flags
cd "$(dirname "$0")/.." || exit 1
MPICC=${MPICC:-mpicc} CFLAGS=${CFLAGS:--O2}
if ! command -v "$MPICC" >/dev/null || ! command -v mpirun >/dev/null; then
    echo "skipped: no mpicc (Debian: openmpi-bin, libopenmpi-dev)"
    echo "0 passed, 0 failed"
    exit 0
fi
passed=0 failed=0
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
# Closed surroundings (containers, root): processes on one machine that talk through memory, and nothing else.
export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_plm_rsh_agent= \
    OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none TMPDIR=$T
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$T/out" 2>"$T/err"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name: $*"
        sed 's/^/    /' "$T/out" "$T/err" | tail -n 12
    fi
}
# Losses of two logs, epoch by epoch: LOG LOG TOLERANCE
losses() {
    paste -d ' ' <(sed -n 's/.* loss \([^,]*\), gradient \([^,]*\).*/\1 \2/p' "$1") \
        <(sed -n 's/.* loss \([^,]*\), gradient \([^,]*\).*/\1 \2/p' "$2") |
        awk -v most="$3" '{ n++; d = $1 - $3; if (d < 0) d = -d; if (d > worst) worst = d; if (NF != 4) bad = 1 }
            END { printf "%d epochs, largest difference of a loss %g\n", n, worst; exit !(n && !bad && worst <= most) }'
}
train() { # PROCESSES NAME FLAGS...
    local n=$1 name=$2
    shift 2
    mpirun --allow-run-as-root --oversubscribe -np "$n" build/train_mpi --encodings "$T/q.npy" --scores "$T/y.npy" \
        --split "$T/s.npy" --seed 7 --out "$T/$name.safetensors" "$@" >"$T/$name.log" 2>"$T/$name.err" </dev/null ||
        { cat "$T/$name.err"; return 1; }
}
mkdir -p build
[ build/train_mpi -nt locus.h ] && [ build/train_mpi -nt examples/train_mpi.c ] ||
    check "compiles" "$MPICC" $CFLAGS examples/train_mpi.c -o build/train_mpi -lm
[ build/npydiff -nt tests/npydiff.c ] ||
    check "npydiff" "${CC:-cc}" $CFLAGS tests/npydiff.c -o build/npydiff -lm -pthread

# 90 queries, 5 models that are right on different sides of the space, scores missing here and there
numbers=$(awk 'BEGIN { srand(3); for (i = 0; i < 90 * 12; i++) printf "%.4f ", rand() - 0.5 }')
# shellcheck disable=SC2086
check "encodings" build/npydiff make "$T/q.npy" f4 90,12 $numbers
scores=$(awk -v q="$numbers" 'BEGIN { srand(5); split(q, x, " "); for (m = 0; m < 5; m++) for (i = 0; i < 90; i++) {
    r = rand(); printf "%d ", r < 0.07 ? 255 : (x[i * 12 + m + 1] + 0.3 * (rand() - 0.5) > 0) } }')
# shellcheck disable=SC2086
check "scores" build/npydiff make "$T/y.npy" u1 5,90 $scores
check "split" build/npydiff make "$T/s.npy" u1 90 0 0 0 1

# Six epochs: later a rounding that turns the sign of a small gradient has grown, for Adam divides by its size.
for recipe in best paper; do
    for n in 1 2 3; do check "$recipe, $n processes" train $n $recipe$n --recipe $recipe --epochs 6; done
    for n in 2 3; do
        check "$recipe: losses of $n processes" losses "$T/${recipe}1.log" "$T/$recipe$n.log" 2e-6
        check "$recipe: weights of $n processes" build/npydiff weights "$T/${recipe}1.safetensors" \
            "$T/$recipe$n.safetensors" 1e-5
        [ -z "${SHOW:-}" ] || cat "$T/out"
    done
done
# more processes than models: some have none of them
check "7 processes" train 7 best7 --epochs 6
check "weights of 7 processes" build/npydiff weights "$T/best1.safetensors" "$T/best7.safetensors" 1e-5
check "the same twice" train 2 again --epochs 6
check "to the last bit" cmp "$T/best2.safetensors" "$T/again.safetensors"
# failures end all processes, with a message
if train 2 none --scores "$T/none.npy" >/dev/null 2>&1 || ! grep -q "none.npy" "$T/none.err"; then
    failed=$((failed + 1))
    echo "FAILED: a missing file"
else passed=$((passed + 1)); fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
