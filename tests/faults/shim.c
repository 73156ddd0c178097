/* Loaded before libc (LD_PRELOAD): counts what a process writes below one directory, or sends to a server, and ends it
 * or lets the disk be full at the n-th. Modes: 'k' killed before it, 't' torn: half of it is written, or all of what has
 * no half, and then killed, 'f' from it on nothing more can be written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SERVER = 2 };
static char root[PATH_MAX];
static long at = -1, seen = 0;
static char mode = 'k';
static char names[1 << 20];
static size_t used = 0;

void faults_arm(const char *prefix, long n, char how) {
    strncpy(root, prefix, sizeof root - 1);
    at = n, mode = how, seen = 0, used = 0;
}
long faults_seen(void) { return seen; }
const char *faults_names(void) { return names; }

static int below(const char *path) {
    char full[PATH_MAX * 2];
    if (!path || !*root) return 0;
    if (*path != '/') {
        if (!getcwd(full, PATH_MAX)) return 0;
        strncat(strncat(full, "/", 2), path, PATH_MAX);
        path = full;
    }
    return !strncmp(path, root, strlen(root));
}
static int of(int fd) {
    char link[64], path[PATH_MAX];
    struct stat about;
    if (!*root || fd < 3) return 0;
    if (!fstat(fd, &about) && S_ISSOCK(about.st_mode)) return SERVER;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}
/* 0: go on; 1: strike now; -1: there is no space. */
static int due(int ours, const char *what, int needs_space) {
    if (!ours) return 0;
    long here = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (at < 0) {
        size_t more = strlen(what) + 1;
        if (used + more < sizeof names) used += snprintf(names + used, more + 1, "%s ", what);
        return 0;
    }
    if (mode == 'f') return needs_space && ours != SERVER && here >= at ? -1 : 0;
    if (here != at) return 0;
    if (mode == 'k') kill(getpid(), SIGKILL);
    return 1;
}
#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FULL return (errno = ENOSPC, -1)
#define DO(ours, space, call)                     \
    int strike = due(ours, __func__, space);      \
    if (strike < 0) FULL;                         \
    __typeof__(call) done = call;                 \
    if (strike) kill(getpid(), SIGKILL);          \
    return done

#define WRITES(ours, size, half, whole)           \
    int strike = due(ours, __func__, 1);          \
    if (strike < 0) FULL;                         \
    if (strike) { (void)!half; kill(getpid(), SIGKILL); } \
    return whole

ssize_t write(int fd, const void *b, size_t n) { REAL(write); WRITES(of(fd), n, real(fd, b, n / 2), real(fd, b, n)); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(pwrite); WRITES(of(fd), n, real(fd, b, n / 2, o), real(fd, b, n, o)); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(pwrite64); WRITES(of(fd), n, real(fd, b, n / 2, o), real(fd, b, n, o)); }
ssize_t send(int fd, const void *b, size_t n, int f) { REAL(send); WRITES(of(fd), n, real(fd, b, n / 2, f), real(fd, b, n, f)); }
ssize_t writev(int fd, const struct iovec *v, int n) { REAL(writev); DO(of(fd), 1, real(fd, v, n)); }
int fsync(int fd) { REAL(fsync); DO(of(fd), 0, real(fd)); }
int fdatasync(int fd) { REAL(fdatasync); DO(of(fd), 0, real(fd)); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); DO(of(fd), 0, real(fd, n)); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); DO(of(fd), 0, real(fd, n)); }
int rename(const char *a, const char *b) { REAL(rename); DO(below(b), 0, real(a, b)); }
int renameat(int p, const char *a, int q, const char *b) { REAL(renameat); DO(below(b), 0, real(p, a, q, b)); }
int unlink(const char *a) { REAL(unlink); DO(below(a), 0, real(a)); }
int unlinkat(int p, const char *a, int f) { REAL(unlinkat); DO(p == AT_FDCWD ? below(a) : of(p), 0, real(p, a, f)); }
int rmdir(const char *a) { REAL(rmdir); DO(below(a), 0, real(a)); }
int mkdir(const char *a, mode_t m) { REAL(mkdir); DO(below(a), 1, real(a, m)); }
int symlink(const char *a, const char *b) { REAL(symlink); DO(below(b), 1, real(a, b)); }

#define OPENS(name)                                                          \
    int name(const char *path, int flags, ...) {                             \
        va_list more;                                                        \
        va_start(more, flags);                                               \
        mode_t rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                        \
        REAL(name);                                                          \
        int makes = (flags & (O_CREAT | O_TRUNC)) && below(path);            \
        DO(makes, 1, real(path, flags, rights));                             \
    }
OPENS(open)
OPENS(open64)

#define OPENSAT(name)                                                        \
    int name(int place, const char *path, int flags, ...) {                  \
        va_list more;                                                        \
        va_start(more, flags);                                               \
        mode_t rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                        \
        REAL(name);                                                          \
        int makes = (flags & (O_CREAT | O_TRUNC)) && (place == AT_FDCWD ? below(path) : of(place)); \
        DO(makes, 1, real(place, path, flags, rights));                      \
    }
OPENSAT(openat)
OPENSAT(openat64)
