# Makes of locus.h a header that shows the insides too: what is private is declared where it was defined. The tests that
# look inside include it, and link the library compiled with -DLOCUSI_FN=extern.
# Usage: awk -f tests/inside.awk locus.h >build/inside.h
BEGIN {
    print "#if defined(__GNUC__) || defined(__clang__)\n#pragma GCC diagnostic push"
    print "#pragma GCC diagnostic ignored \"-Wunused-function\"\n#pragma GCC diagnostic ignored \"-Wunused-variable\"\n#endif"
}
/^#if defined\(LOCUSI_KERNEL_PASS\)/ || /^#define LOCUSI_KERNEL_PASS/ { kernels = 1 }
kernels {
    if (/^#endif \/\/ LOCUSI_KERNEL_PASS/ || /^#undef LOCUSI_KERNEL_PASS/) kernels = 0
    next
}
/end of the interface/ || /^#if defined\(LOCUS_IMPLEMENTATION\)/ { inside = 1 }
!inside { print; next }
/^LOCUS_API .*}$/ { next } # of one line: the interface declares it
/^LOCUSI_FN .*}$/ { sub(/^LOCUSI_FN/, "static") }
/^(LOCUSI_FN|LOCUS_API) / { declares = 1 }
/^static / { declares = 0 }
/^{$/ && declares { print ";"; body = 1 }
body {
    if (/^}$/) body = 0
    next
}
{ print }
END { print "#if defined(__GNUC__) || defined(__clang__)\n#pragma GCC diagnostic pop\n#endif" }
