#ifndef REPORT_H
#define REPORT_H
enum { SEEDS_MOST = 16 };
static int report(const results *all, const evaluation_set *sets, size_t count, const settings *s)
{
    (void)all;
    (void)sets;
    (void)count;
    (void)s;
    (void)boot_interval;
    return 0;
}
#endif
