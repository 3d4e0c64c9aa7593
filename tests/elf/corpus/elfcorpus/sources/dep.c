/* The library that the others need: DT_NEEDED, a version record and, through it, a file name in .gnu.version_r. */
int dep_value(int x) { return x * 2; }
int dep_more(int x) { return x + 1; }
