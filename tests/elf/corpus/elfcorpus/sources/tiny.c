int probe(void) { return 42; }
