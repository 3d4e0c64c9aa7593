/* An executable around lib.c. */
#include <stdio.h>
extern int probe(void);
int main(void) { printf("probe %d\n", probe()); return 0; }
