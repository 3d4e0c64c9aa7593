/* Preloaded into the server of the tests: counts the calls that touch files, and at one of them kills, signals or fails.

   Nothing is counted before fw_arm(). A fault hits writes below one folder only, from the chosen call on: a full disk
   stays full. FW_SHIM_CLOCK shifts the wall clock by so many seconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long count = 0;
static long point = 0;
static int action = 0; /* > 0: a signal; < 0: an errno; 0: only count */
static char folder[PATH_MAX] = "";

void fw_arm(long at, int what, const char *below) {
    strncpy(folder, below, sizeof folder - 1);
    action = what;
    atomic_store(&count, 0);
    point = at;
}

long fw_count(void) { return atomic_load(&count); }

static int inside(int fd) {
    char link[64], target[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlink, link, target, sizeof target - 1);
    if (length <= 0) return 0;
    target[length] = 0;
    return strncmp(target, folder, strlen(folder)) == 0;
}

/* Returns whether this call is to fail; fd < 0: it writes nothing. */
static int touch(int fd) {
    if (!point) return 0;
    long now = atomic_fetch_add(&count, 1) + 1;
    if (action > 0 && now == point) kill(getpid(), action);
    if (action < 0 && now >= point && fd >= 0 && inside(fd)) {
        errno = -action;
        return 1;
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(result, name, parameters, arguments, fd) \
    result name parameters { \
        static __typeof__(&name) real; \
        if (!real) real = REAL(name); \
        if (touch(fd)) return -1; \
        return real arguments; \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), fd)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), fd)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), fd)
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size), -1)
WRAP(ssize_t, pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at), -1)
WRAP(ssize_t, pread64, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at), -1)
WRAP(ssize_t, copy_file_range, (int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags),
     (in, from, out, to, size, flags), out)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), fd)
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), fd)
WRAP(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), fd)
WRAP(int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size), fd)
WRAP(int, fsync, (int fd), (fd), fd)
WRAP(int, fdatasync, (int fd), (fd), fd)
WRAP(int, close, (int fd), (fd), -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), -1)
WRAP(int, unlink, (const char *path), (path), -1)
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)

#define OPEN(name, parameters, arguments) \
    int name parameters { \
        static __typeof__(&name) real; \
        if (!real) real = REAL(name); \
        mode_t mode = 0; \
        va_list rest; \
        va_start(rest, flags); \
        if (flags & (O_CREAT | __O_TMPFILE)) mode = va_arg(rest, mode_t); \
        va_end(rest); \
        touch(-1); \
        return real arguments; \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
OPEN(openat64, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int result = real(clock, now);
    const char *shift = getenv("FW_SHIM_CLOCK");
    if (result == 0 && clock == CLOCK_REALTIME && shift) now->tv_sec += atol(shift);
    return result;
}
