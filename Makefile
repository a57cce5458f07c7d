# make            build/locus, the command line, and the examples
# make demo       route real questions over real models with what ships here
# make test       everything that must hold;  make check: the same under sanitizers, valgrind, other compilers
# make bench      the table of speeds, next to this machine's peak and to PyTorch where it is installed
CC ?= cc
CFLAGS ?= -O2
WARN = -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
LIBS = -lm -pthread

VERSION := $(shell sed -n 's/^\#define LOCUS_VERSION "\(.*\)"/\1/p' locus.h)
EXAMPLES = build/locus build/route build/onboard
TESTS = build/test_files build/test_core build/test_train
DATA = examples/data

all: $(EXAMPLES)

build/%: examples/%.c locus.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) $< -o $@ $(LIBS)

build/%: tests/%.c locus.h tests/reference.h tests/harness.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) $< -o $@ $(LIBS)

build/bench: bench/bench.c locus.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(WARN) $< -o $@ $(LIBS)

demo: build/locus
	build/locus route --router $(DATA)/router.safetensors --encodings $(DATA)/queries.npy --texts $(DATA)/queries.txt \
	    --top 3
	@echo
	@echo "The same at a mean cost of 60 (billions of parameters stand for a price):"
	build/locus route --router $(DATA)/router.safetensors --encodings $(DATA)/queries.npy --texts $(DATA)/queries.txt \
	    --budget 60

test: $(EXAMPLES) $(TESTS) build/npydiff
	@tests/run.sh

check: test
	@tests/check_builds.sh
	@tests/check_memory.sh

bench: build/bench
	@bench/run.sh

format:
	clang-format -i locus.h examples/*.c tests/*.c tests/*.h bench/*.c

tidy:
	clang-tidy --quiet tests/tidy.c -- -std=c99 -I.

PREFIX ?= /usr/local
install:
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 locus.h $(DESTDIR)$(PREFIX)/include/locus.h

clean:
	rm -rf build

.PHONY: all demo test check bench format tidy install clean
