/* Symbols whose names are tails of other strings of the file: of the RPATH, of the SONAME, of a DT_NEEDED. */
extern int dep_value(int);
int lib(void) { return 40; }
int so(void) { return dep_value(1); }
int probe(void) { return lib() + so(); }
