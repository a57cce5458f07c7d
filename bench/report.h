static int report(const dataset *d, const pool pools[2], const results *all, const settings *s)
{
    (void)d; (void)pools; (void)all; (void)s;
    return 0;
}
