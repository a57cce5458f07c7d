# make            build/locus, the command line, and the examples
# make demo       route real questions over real models with what ships here
# make test       everything that must hold;  make check: the same under sanitizers, valgrind, other compilers
# make bench      the table of speeds, next to this machine's peak and to PyTorch where it is installed
# make bench-train  the same for training;  make bench-scale  pools of up to 300,000 models
# make size       how large everything is, beside 0.3.0
# make reproduce  LOCUS next to its rivals on real evaluations: bench/RESULTS.md;  make reproduce-explore  its uses:
#                 bench/RESULTS-explore.md
CC ?= cc
CFLAGS ?= -O2
WARN = -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
LIBS = -lm -pthread

VERSION := $(shell sed -n 's/^\#define LOCUS_VERSION "\(.*\)"/\1/p' locus.h)
EXAMPLES = build/locus build/route build/onboard build/fallback build/budget_portfolio build/adaptive build/nightly
TESTS = $(patsubst tests/%.c,build/%,$(wildcard tests/test_*.c))
DATA = examples/data
MPICC ?= mpicc
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
EXAMPLES += $(if $(shell command -v $(MPICC) 2>/dev/null),build/train_mpi) # built only where MPI is

all: $(EXAMPLES)

# The library is compiled once. Each program could hold it (and does, compiled by the line in its first comment): here
# LOCUSI_IMPLEMENTED leaves it out of them.
LINK = $(WARN) -DLOCUSI_IMPLEMENTED

build/locus.o: locus.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) -x c -DLOCUS_IMPLEMENTATION -c $< -o $@

build/locus_test.o: locus.h tests/allocator.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) -x c -DLOCUS_IMPLEMENTATION -include tests/allocator.h -c $< -o $@

build/train_mpi: examples/train_mpi.c build/locus.o
	@mkdir -p build
	$(MPICC) $(CFLAGS) $(LINK) $< build/locus.o -o $@ $(LIBS)

# The command line is a folder; examples/locus.c is the same in one file.
TOOL = examples/locus
build/locus: $(sort $(wildcard $(TOOL)/*.[ch]) $(TOOL)/atlas_page.c) build/locus.o
	@mkdir -p build
	$(CC) $(CFLAGS) $(LINK) $(filter %.c %.o,$^) -o $@ $(LIBS)

# The page of `locus atlas` as a C string
$(TOOL)/atlas_page.c: $(TOOL)/atlas.html
	tests/make_page.sh

build/%: examples/%.c build/locus.o
	@mkdir -p build
	$(CC) $(CFLAGS) $(LINK) $< build/locus.o -o $@ $(LIBS)

build/npydiff: tests/npydiff.c build/locus.o
	@mkdir -p build
	$(CC) $(CFLAGS) $(LINK) $< build/locus.o -o $@ $(LIBS)

# Tests of what is public; the others look inside and hold the library themselves.
build/test_core build/test_geometry build/test_evidence: build/%: tests/%.c build/locus_test.o $(wildcard tests/*.h)
	@mkdir -p build
	$(CC) $(CFLAGS) $(LINK) $< build/locus_test.o -o $@ $(LIBS)

# The route-only build beside the library.
build/test_compact: tests/test_compact.c tests/compact.c build/locus_test.o $(wildcard tests/*.h)
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) -c tests/compact.c -o build/compact.o
	$(CC) $(CFLAGS) $(LINK) $< build/compact.o build/locus_test.o -o $@ $(LIBS)

build/%: tests/%.c locus.h $(wildcard tests/*.h)
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) $< -o $@ $(LIBS)

build/bench build/bench_scale build/bench_route_scale build/bench_train: build/%: bench/%.c bench/measure.h locus.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) $< -o $@ $(LIBS)

demo: build/locus
	build/locus route --router $(DATA)/router.safetensors --profile $(DATA)/profile.npy --categories $(DATA)/profile.txt \
	    --text "A spring with constant 200 N/m is compressed by 0.1 m. How much energy is stored in it?"
	@echo
	@echo "Real questions, one of each subject, at a mean cost of 60 (billions of parameters stand for a price):"
	build/locus route --router $(DATA)/router.safetensors --encodings $(DATA)/queries.npy --texts $(DATA)/queries.txt \
	    --budget 60
	@echo
	@echo "Your own: build/locus route --router $(DATA)/router.safetensors --text -"

programs: $(TESTS) build/npydiff $(EXAMPLES)

test: # built and run JOBS at a time
	@$(MAKE) -s -j $(JOBS) programs
	@JOBS=$(JOBS) tests/run.sh

check: test
	@JOBS=$(JOBS) tests/check_builds.sh
	@JOBS=$(JOBS) tests/check_memory.sh
	@tests/check_style.sh

size:
	@tests/size.sh

bench: build/bench
	@bench/run.sh

bench-train:
	@bench/run_train.sh

bench-scale: build/bench_scale build/bench_route_scale
	@bench/run_scale.sh

# bench/RESULTS.md: all development sets, at most 60 minutes on two cores; goes on where it was interrupted (what was
# computed is in build/reproduced). Needs OpenBLAS for the baselines: apt install libopenblas-dev pkg-config
BLAS = $(shell pkg-config --cflags --libs openblas 2>/dev/null || echo -lopenblas)
REPRODUCE ?=

build/reproduce build/explore build/coverage: build/%: bench/experiments/%.c $(wildcard bench/experiments/*.h) locus.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) $(REPRODUCE) $< -o $@ $(BLAS) $(LIBS)

reproduce: build/reproduce
	build/reproduce --selftest
	build/reproduce

# bench/RESULTS-explore.md; trains nets that make reproduce did not keep in build/nets
reproduce-explore: build/explore build/coverage
	build/explore
	build/coverage >build/coverage.md
	cat build/coverage.md >>bench/RESULTS-explore.md

format:
	clang-format -i locus.h examples/*.c $(TOOL)/*.[ch] tests/*.[ch] bench/*.[ch] bench/experiments/*.[ch]

tidy:
	clang-tidy --quiet tests/tidy.c -- -std=c99 -I.

PREFIX ?= /usr/local
install:
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 locus.h $(DESTDIR)$(PREFIX)/include/locus.h

clean:
	rm -rf build

.PHONY: all demo programs test check size bench bench-train bench-scale reproduce reproduce-explore format tidy install clean
