/* Constructor, destructor, TLS, .bss, relocations, libm, libz and libdep in one library.
   probe() returns 42 if all of them work after loading. */
#include <math.h>
#ifdef WITH_ZLIB
#include <zlib.h>
#endif
#ifndef BSS
#define BSS 70000
#endif
extern int dep_value(int);
#ifndef OLD_DEP
extern int dep_more(int);
#endif
static __thread int tls_data = 7;
static __thread int tls_zero[4];
static char zeros[BSS];
static int constructed;
int exported_data[3] = {1, 2, 3};
int *exported_pointer = &exported_data[1];
const char *const names[] = {"alpha", "beta", "gamma"};
static int (*const functions[])(int) = {dep_value, dep_value};

__attribute__((constructor)) static void on_load(void) { constructed = 1; tls_zero[3] = 5; }
__attribute__((destructor)) static void on_unload(void) { constructed = 0; zeros[BSS - 1] = 1; }

int probe(void)
{
    volatile double four = 4.0;
    volatile int index = 2;
    if (!constructed || tls_data != 7 || tls_zero[3] != 5) return 1;
    if (zeros[0] || zeros[BSS / 2] || zeros[BSS - 1]) return 2;
    if (*exported_pointer != 2 || names[index][0] != 'g') return 3;
    if (functions[index - 1](21) != 42) return 4;
    if (pow(four, 0.5) != 2.0) return 5;
#ifdef WITH_ZLIB
    if (crc32(0, (const unsigned char *)"123456789", 9) != 0xcbf43926) return 6;
#endif
#ifndef OLD_DEP
    if (dep_more(1) != 2) return 7;
#endif
    return 42;
}
