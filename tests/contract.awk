# Reads locus.h and tells where its contract is silent about what the functions do: who allocates without saying so, who
# says that it does not and does, whose `work` has no stated size. What locus_run says need not be said again. Prints a line for each; the last says how many
# functions were looked at. Usage: awk -f tests/contract.awk locus.h
function take(name, text,   word) { # the identifiers in a body
    while (match(text, /(locusi?_[a-z0-9_]+|LOCUS_MALLOC)/)) {
        word = substr(text, RSTART, RLENGTH)
        if (word == "LOCUS_MALLOC") allocates[name] = 1
        else if (word != name) calls[name] = calls[name] " " word
        text = substr(text, RSTART + RLENGTH)
    }
}
function named(text) { return match(text, /locusi?_[a-z0-9_]+\(/) ? substr(text, RSTART, RLENGTH - 1) : "" }
/end of the interface/ { inside = 1; next }
!inside {
    if (/^\/\/ ---- exploring/) exploring = 1
    if (/^#endif \/\/ LOCUS_NO_EXPLORE/) exploring = 0
    if (/^\/\//) { comment = fresh ? comment " " $0 : $0; fresh = 1; next }
    if (prototype == "" && !/^LOCUS_API .*\(/) { if (!/^#|^$/) fresh = 0; next } # types: the comment was theirs
    prototype = prototype " " $0
    if (!/;$/) next
    name = named(prototype)
    public[++count] = name
    says[name] = comment
    explores[name] = exploring
    runs[name] = prototype ~ /const locus_run \*run/ # what that means stands at locus_run
    works[name] = prototype ~ /void \*work,/
    if (prototype ~ /const locus_run \*run,/) runs[name] = 1
    known[name] = 1
    prototype = ""
    fresh = 0
    next
}
/^#ifdef LOCUS_INFERENCE_ONLY/ { compact = 1 } # other bodies of the same functions
/^#else/ { compact = 0 }
compact { next }
body == "" && /^(LOCUSI_FN|LOCUS_API|static) .*\(/ { head = $0; body = named($0); open = 0 }
body != "" {
    take(body, $0)
    if ($0 == "{") open = 1
    if ($0 == "}" || (!open && /[;}]$/)) body = ""
}
END {
    for (changed = 1; changed;) {
        changed = 0
        for (name in calls) {
            if (allocates[name]) continue
            n = split(calls[name], called, " ")
            for (i = 1; i <= n; i++)
                if (allocates[called[i]]) { allocates[name] = changed = 1; because[name] = called[i]; break }
        }
    }
    for (i = 1; i <= count; i++) {
        name = public[i]
        if (runs[name]) continue
        if (allocates[name] && says[name] ~ /(Does not allocate|[Aa]llocates nothing)/)
            print name ": says that it does not allocate, and does through " because[name]
        if (allocates[name] && !runs[name] && says[name] !~ /[Aa]llocat|LOCUS_MALLOC|heap|memory is taken|block of memory|block for/)
            print name ": allocates through " because[name] ", and does not say so"
        if (explores[name] && works[name] && !((name "_workspace") in known) && says[name] !~ /work: /)
            print name ": does not say how many bytes `work` has"
    }
    print count " functions"
}
