/* A fork server around dlopen(): reads one path a line, loads each in a child of its own and answers one line:
     ok N        loaded; N is what probe() returned ("-" if there is none, or it was not asked for)
     error TEXT  dlopen() said TEXT
     signal N    the child died of a signal
     exit N      the child left without an answer
     timeout     it took too long
   Options: -p PATH  load PATH first, with RTLD_GLOBAL (say libpython)
            -c       call probe() too
            -u       call dlclose() too
            -t N     seconds for one file
            -m N     memory for one file, MiB */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void limit(int what, rlim_t value)
{
    struct rlimit r = {value, value};
    setrlimit(what, &r);
}

static void child(const char *path, int answer, int call, int unload, int seconds, long memory)
{
    char line[4096];
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CPU, seconds);
    if (memory) limit(RLIMIT_AS, (rlim_t)memory << 20);
    alarm(seconds);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *text = dlerror();
        snprintf(line, sizeof line, "error %s", text ? text : "?");
        for (char *p = line; *p; p++)
            if (*p == '\n') *p = ' ';
    } else {
        int (*probe)(void) = call ? (int (*)(void))dlsym(handle, "probe") : NULL;
        if (probe) snprintf(line, sizeof line, "ok %d", probe());
        else strcpy(line, "ok -");
        if (unload) dlclose(handle);
    }
    size_t length = strlen(line);
    ssize_t written = write(answer, line, length);
    _exit(written == (ssize_t)length ? 0 : 1);
}

int main(int argc, char **argv)
{
    static char path[8192];
    int option, call = 0, unload = 0, seconds = 20;
    long memory = 0;
    while ((option = getopt(argc, argv, "p:cut:m:")) != -1) {
        if (option == 'p' && !dlopen(optarg, RTLD_NOW | RTLD_GLOBAL)) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        if (option == 'c') call = 1;
        if (option == 'u') unload = 1;
        if (option == 't') seconds = atoi(optarg);
        if (option == 'm') memory = atol(optarg);
        if (option == '?') return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    while (fgets(path, sizeof path, stdin)) {
        int ends[2], status = 0, timed_out = 0;
        char line[4096];
        size_t length = 0;
        path[strcspn(path, "\n")] = 0;
        if (pipe2(ends, O_CLOEXEC)) return 1;
        pid_t pid = fork();
        if (pid < 0) return 1;
        if (pid == 0) {
            setpgid(0, 0);
            close(ends[0]);
            child(path, ends[1], call, unload, seconds, memory);
        }
        close(ends[1]);
        for (;;) {
            struct pollfd wait = {ends[0], POLLIN, 0};
            if (poll(&wait, 1, (seconds + 2) * 1000) <= 0) { timed_out = 1; break; }
            ssize_t got = read(ends[0], line + length, sizeof line - 1 - length);
            if (got <= 0) break;
            length += (size_t)got;
            if (length >= sizeof line - 1) break;
        }
        close(ends[0]);
        if (timed_out) kill(-pid, SIGKILL), kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        kill(-pid, SIGKILL);
        line[length] = 0;
        if (timed_out || (WIFSIGNALED(status) && (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGXCPU)))
            puts("timeout");
        else if (WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));
        else if (!length) printf("exit %d\n", WEXITSTATUS(status));
        else puts(line);
        fflush(stdout);
    }
    return 0;
}
