#!/usr/bin/env python3
# The text encoder once more, written from the comment at >>text in locus.h alone: prints tests/text_vectors.h, which
# tests/test_text.c compares with. python3 tests/text_vectors.py | clang-format > tests/text_vectors.h
from math import isqrt

M = (1 << 64) - 1
PROBES = [
    b"What is the derivative of x^2 + 3x with respect to x?\nOptions:\n(A) 2x + 3\n(B) x + 3\n(C) 2x\n(D) 3",
    b"Which of the following best describes the holding of the court in a case of negligence?",
    "Erkläre quantum „量子“: 12345 Кот".encode(),
]


def hash64(numbers):
    h = 0xCBF29CE484222325
    for x in numbers:
        h = (h ^ x) * 0x100000001B3 & M
    for _ in range(2):
        h = (h ^ h >> 32) * 0xD6E8FEB86659FD93 & M
    return h ^ h >> 32


def key(*numbers):
    return hash64(numbers) >> 32


def characters(text):
    at = 0
    while at < len(text):
        c, n = 32, 1
        for k in (1, 2, 3, 4):
            try:
                s = text[at:at + k].decode("utf-8")
                if len(s) == 1:
                    c, n = ord(s), k
                    break
            except UnicodeDecodeError:
                pass
        yield c
        at += n


def kind(c):
    if c <= 0x20 or 0x7F <= c <= 0xA0 or 0x2000 <= c <= 0x200F or 0x2028 <= c <= 0x202F or c in (0x3000, 0xFEFF):
        return "space"
    if 48 <= c <= 57:
        return "digit"
    if 65 <= c <= 90 or 97 <= c <= 122:
        return "letter"
    if c < 0xC0 or c in (0xD7, 0xF7) or 0x2010 <= c <= 0x2BFF or 0x3001 <= c <= 0x303F or 0x1F000 <= c <= 0x1FFFF:
        return "symbol"
    if 0x3040 <= c <= 0x9FFF or c >= 0x20000:
        return "ideograph"
    return "letter"


def fold(c):
    if 65 <= c <= 90 or 0xC0 <= c <= 0xDE or 0x391 <= c <= 0x3A9 or 0x410 <= c <= 0x42F:
        return c + 32
    return c + 80 if 0x400 <= c <= 0x40F else c


def tokens(text):
    out, last = [], None
    for c in characters(text):
        k = kind(c)
        if k in ("letter", "digit") and k == last:
            out[-1][1].append(c)
        elif k != "space":
            out.append((k, [c]))
        last = k
    return out


def g(n):
    m, k = (min(n, 1 << 30) + 1) ** 2, 0
    while k < 60 and 1 << k + 1 <= m:
        k += 1
    return k


def share(n, total):
    return max(r for r in range(11) if r * r * total <= 100 * n) if total else 0


def features(text, known):
    before = None
    digits = symbols = 0
    for k, chars in tokens(text):
        digits += len(chars) if k == "digit" else 0
        symbols += k == "symbol"
        body = [48] * min(4, len(chars)) if k == "digit" else [fold(c) for c in chars]
        this = key(ord("w"), *body)
        yield "token", this
        if k == "letter" and not known(this):
            word = [ord("<")] + body + [ord(">")]
            for i in range(len(word) - 3):
                yield "gram", key(ord("c"), *word[i:i + 4])
        if before is not None:
            yield "pair", key(ord("p"), before, this)
        before = this
    n = len(text)
    for letter, value in (("L", g(n)), ("D", g(digits)), ("N", min(text.count(b"\n"), 15)), ("R", share(digits, n)),
                          ("S", share(symbols, n))):
        yield "shape", key(ord("s"), ord(letter), value)


def encode(text, dim, table=None):  # table: {key: (weight, row)}; result times 2^24
    total, seen, hits = [0] * dim, set(), 0
    for what, k in features(text, lambda k: table is not None and k in table):
        if table is not None and k not in table:
            continue
        m = isqrt(hits + 1) if what == "shape" else 1
        mark = k if table is not None else k % 65536
        if mark in seen:
            continue
        seen.add(mark)
        hits += what != "shape"
        if table is not None:
            weight, row = table[k]
            for d in range(dim):
                total[d] += m * weight * row[d]
        else:
            h = hash64([ord("h"), k])
            for j in range(4):
                v = h >> 16 * j & 0xFFFF
                w = (4 if what == "token" else 1) * m
                total[(v >> 1) * dim >> 15] += -w if v & 1 else w
    most = max(abs(x) for x in total)
    if most == 0:
        return [1 << 24] + [0] * (dim - 1)
    magnitude = [abs(x) for x in total]
    while max(magnitude) < 1 << 26:
        magnitude = [2 * x for x in magnitude]
    while max(magnitude) >= 1 << 27:
        magnitude = [x // 2 for x in magnitude]
    r = isqrt(sum(x * x for x in magnitude))
    return [(x * (1 << 24) + r // 2) // r * (-1 if t < 0 else 1) for x, t in zip(magnitude, total)]


def fingerprint(dim, table=None):
    numbers = [dim]
    for probe in PROBES:
        numbers += [x & 0xFFFFFFFF for x in encode(probe, dim, table)]
    return hash64(numbers)


TEXTS = PROBES + [
    b"",
    b" \t\r\n\x00\x7f",
    b"a",
    b"The cat, the CAT and the caterpillar: 7 + 42 = 49; 123456789!",
    b"abc\x00def\x00",
    b"\xff\xfe broken \xc3 here \xe2\x82 \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\xaf end\xf0\x9f",
    "Ärger ÷ ÜBER × ñandú ΑΒΓ Ω ЖЁ Џ\u00a0x\u2003y\u3000z\ufeff".encode(),
    "東京タワーは高い。한국어 문장 😀 ∑∫ “quoted” – it’s".encode(),
    b"word " * 300,
    b"x" * 5000,
    b"1234567890 " * 40 + b"\n" * 40,
    b"!?.," * 50,
]
DIM, FREE = 20, 24


def main():
    words = []
    for text in TEXTS[:3] + TEXTS[6:7] + TEXTS[9:11]:
        words += [k for _, k in features(text, lambda k: True)]
        words += [k for what, k in features(text, lambda k: False) if what == "gram"][:40]
    keys = sorted(set(words))
    keys = [k for i, k in enumerate(keys) if i % 3]
    table = {k: ((i * 2654435761 >> 8) % 65536, [(i * 37 + d * 101 + i * d) % 255 - 127 for d in range(DIM)])
             for i, k in enumerate(keys)}
    print("// Made by tests/text_vectors.py; not to be edited.")
    print("// Row i of the table: weight (i * 2654435761 >> 8) % 65536, [d] (i * 37 + d * 101 + i * d) % 255 - 127.")
    print("enum { TABLE_DIM = %d, TABLE_ROWS = %d, FREE_DIM = %d, TEXTS = %d };" % (DIM, len(keys), FREE, len(TEXTS)))
    show("static const uint32_t table_keys[TABLE_ROWS]", ["0x%08xu" % k for k in keys])
    print('static const char table_name[] = "locus-text-1/%016x";' % fingerprint(DIM, table))
    print('static const char free_name[] = "locus-text-1/%016x";' % fingerprint(FREE))
    for i, t in enumerate(TEXTS):
        show("static const unsigned char text_%d[%d]" % (i, len(t) + 1), ["%d" % b for b in t + b"\0"])
    show("static const struct {\n    const unsigned char *text;\n    size_t bytes;\n} texts[TEXTS]",
         ["{text_%d, %d}" % (i, len(t)) for i, t in enumerate(TEXTS)])
    show("static const int32_t table_expected[TEXTS * TABLE_DIM]",
         ["%d" % x for t in TEXTS for x in encode(t, DIM, table)])
    show("static const int32_t free_expected[TEXTS * FREE_DIM]", ["%d" % x for t in TEXTS for x in encode(t, FREE)])


def show(what, items):
    print(what + " = {")
    line = "   "
    for x in items:
        if len(line) + len(x) + 2 > 120:
            print(line)
            line = "   "
        line += " " + x + ","
    print(line)
    print("};")


main()
