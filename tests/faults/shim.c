/* Loaded before libc (LD_PRELOAD): counts what a process writes below one directory, or sends to a
 * server, or the memory it asks for, and strikes at the n-th of these points. Modes:
 *   'k' killed before the write, 't' torn: half of it is written, or all of what has no half, and
 *   then killed, 'f' from it on the disk is full, 'e' it fails once with an I/O error, 'i' it and
 *   all later ones do, 'a' one large allocation fails, 'A' it and all later ones do, 'r' nothing
 *   fails and each write is recorded in a file, from which a loss of power is replayed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SERVER = 2, GO_ON = 0, STRIKE = 1, NO_SPACE = -1, IO_ERROR = -2 };
/* Smaller allocations are so many, and so seldom checked by any program, that they are let be. */
enum { LARGE = 1 << 16 };
static char root[PATH_MAX];
static long at = -1, seen = 0;
static char mode = 'k';
static char names[1 << 20];
static size_t used = 0;
static int log_fd = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

void faults_arm(const char *prefix, long n, char how) {
    strncpy(root, prefix, sizeof root - 1);
    at = n, mode = how, seen = 0, used = 0;
}
void faults_record(const char *prefix, const char *log) {
    log_fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    faults_arm(prefix, -1, log ? 'r' : 'k');
}
long faults_seen(void) { return seen; }
const char *faults_names(void) { return names; }

/* Write the absolute path of a file named relative to a folder, and return it. */
static const char *full_path(int folder, const char *path, char *full) {
    *full = 0;
    if (!path || *path == '/') return strncat(full, path ? path : "", PATH_MAX - 1);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = folder == AT_FDCWD ? (getcwd(full, PATH_MAX) ? (ssize_t)strlen(full) : -1)
                                      : readlink(link, full, PATH_MAX - 1);
    if (size < 0) return *full = 0, full;
    full[size] = 0;
    return *path ? strncat(strncat(full, "/", 2), path, PATH_MAX) : full;
}
static int below(int folder, const char *path) {
    char full[PATH_MAX * 2];
    return path && *root && !strncmp(full_path(folder, path, full), root, strlen(root));
}
static int of(int fd) {
    struct stat about;
    char full[PATH_MAX * 2];
    if (!*root || fd < 3) return 0;
    if (!fstat(fd, &about) && S_ISSOCK(about.st_mode)) return SERVER;
    /* The folder itself counts when it is flushed. */
    size_t length = strlen(root);
    full_path(fd, "", full);
    return !strncmp(full, root, length) || (strlen(full) == length - 1 && !strncmp(full, root, length - 1));
}
static int due(int ours, const char *what, int needs_space) {
    if (!ours || mode == 'a' || mode == 'A') return GO_ON;
    long here = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (at < 0) {
        size_t more = strlen(what) + 1;
        if (used + more < sizeof names) used += snprintf(names + used, more + 1, "%s ", what);
        return GO_ON;
    }
    if (mode == 'f') return needs_space && ours != SERVER && here >= at ? NO_SPACE : GO_ON;
    if (mode == 'i') return here >= at ? IO_ERROR : GO_ON;
    if (here != at) return GO_ON;
    if (mode == 'e') return IO_ERROR;
    if (mode == 'k') kill(getpid(), SIGKILL);
    return STRIKE;
}
static int fail(int strike, int ours) {
    errno = ours == SERVER ? ECONNRESET : strike == NO_SPACE ? ENOSPC : EIO;
    return -1;
}
/* Append a record: kind, lengths, offset, two paths and the bytes that are written. */
static void record(char kind, const char *a, const char *b, int64_t offset, const void *bytes, uint64_t n) {
    struct __attribute__((packed)) { char kind; uint32_t a, b; int64_t offset; uint64_t n; } head = {
        kind, strlen(a), strlen(b), offset, n};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)a, head.a}, {(void *)b, head.b}, {(void *)bytes, n}};
    syscall(SYS_writev, log_fd, parts, 4);
}
static int64_t place_of(int fd) {
    struct stat about;
    if (fcntl(fd, F_GETFL) & O_APPEND) return fstat(fd, &about) ? 0 : about.st_size;
    return lseek(fd, 0, SEEK_CUR);
}
#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
/* The lock keeps the records in the order of the calls. */
#define RECORDED(ours, note, call)                           \
    int noted = (ours) && mode == 'r' && ours != SERVER;     \
    char one[PATH_MAX * 2] = "", two[PATH_MAX * 2] = "";     \
    (void)two;                                               \
    if (noted) { pthread_mutex_lock(&order); note; }         \
    __typeof__(call) done = call;                            \
    int error = errno;                                       \
    if (noted) pthread_mutex_unlock(&order);                 \
    errno = error

#define DO(ours, space, note, call)                          \
    int here = ours, strike = due(here, __func__, space);    \
    if (strike < 0) return fail(strike, here);               \
    RECORDED(here, note, call);                              \
    if (strike) kill(getpid(), SIGKILL);                     \
    return done

#define WRITES(ours, half, note, whole)                      \
    int here = ours, strike = due(here, __func__, 1);        \
    if (strike < 0) return fail(strike, here);               \
    if (strike) { (void)!half; kill(getpid(), SIGKILL); }    \
    RECORDED(here, note, whole);                             \
    return done

#define OF(fd) full_path(fd, "", one)
#define AT(folder, path) full_path(folder, path, one)
#define AND(folder, path) full_path(folder, path, two)

ssize_t write(int fd, const void *b, size_t n) { REAL(write); WRITES(of(fd), real(fd, b, n / 2), record('W', OF(fd), "", place_of(fd), b, n), real(fd, b, n)); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(pwrite); WRITES(of(fd), real(fd, b, n / 2, o), record('W', OF(fd), "", o, b, n), real(fd, b, n, o)); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(pwrite64); WRITES(of(fd), real(fd, b, n / 2, o), record('W', OF(fd), "", o, b, n), real(fd, b, n, o)); }
ssize_t send(int fd, const void *b, size_t n, int f) { REAL(send); WRITES(of(fd), real(fd, b, n / 2, f), (void)0, real(fd, b, n, f)); }
static void record_parts(int fd, const struct iovec *v, int n, char *one) {
    int64_t place = place_of(fd);
    for (int i = 0; i < n; place += v[i++].iov_len) record('W', OF(fd), "", place, v[i].iov_base, v[i].iov_len);
}
ssize_t writev(int fd, const struct iovec *v, int n) { REAL(writev); DO(of(fd), 1, record_parts(fd, v, n, one), real(fd, v, n)); }
int fsync(int fd) { REAL(fsync); DO(of(fd), 0, record('F', OF(fd), "", 0, "", 0), real(fd)); }
int fdatasync(int fd) { REAL(fdatasync); DO(of(fd), 0, record('F', OF(fd), "", 0, "", 0), real(fd)); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); DO(of(fd), 0, record('T', OF(fd), "", n, "", 0), real(fd, n)); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); DO(of(fd), 0, record('T', OF(fd), "", n, "", 0), real(fd, n)); }
int rename(const char *a, const char *b) { REAL(rename); DO(below(AT_FDCWD, b), 0, record('R', AT(AT_FDCWD, a), AND(AT_FDCWD, b), 0, "", 0), real(a, b)); }
int renameat(int p, const char *a, int q, const char *b) { REAL(renameat); DO(below(q, b), 0, record('R', AT(p, a), AND(q, b), 0, "", 0), real(p, a, q, b)); }
int link(const char *a, const char *b) { REAL(link); DO(below(AT_FDCWD, b), 1, record('H', AT(AT_FDCWD, a), AND(AT_FDCWD, b), 0, "", 0), real(a, b)); }
int unlink(const char *a) { REAL(unlink); DO(below(AT_FDCWD, a), 0, record('U', AT(AT_FDCWD, a), "", 0, "", 0), real(a)); }
int unlinkat(int p, const char *a, int f) { REAL(unlinkat); DO(below(p, a), 0, record('U', AT(p, a), "", 0, "", 0), real(p, a, f)); }
int rmdir(const char *a) { REAL(rmdir); DO(below(AT_FDCWD, a), 0, record('U', AT(AT_FDCWD, a), "", 0, "", 0), real(a)); }
int mkdir(const char *a, mode_t m) { REAL(mkdir); DO(below(AT_FDCWD, a), 1, record('M', AT(AT_FDCWD, a), "", 0, "", 0), real(a, m)); }
int symlink(const char *a, const char *b) { REAL(symlink); DO(below(AT_FDCWD, b), 1, record('L', AT(AT_FDCWD, b), a, 0, "", 0), real(a, b)); }

#define RIGHTS(flags)                                                                       \
    va_list more;                                                                           \
    va_start(more, flags);                                                                  \
    mode_t rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;               \
    va_end(more)
#define MAKES(flags) (flags & (O_CREAT | O_TRUNC))
#define OPENS(name)                                                                         \
    int name(const char *path, int flags, ...) {                                            \
        RIGHTS(flags);                                                                      \
        REAL(name);                                                                         \
        DO(MAKES(flags) && below(AT_FDCWD, path), 1,                                        \
           record('C', AT(AT_FDCWD, path), "", flags, "", 0), real(path, flags, rights));   \
    }
OPENS(open)
OPENS(open64)

#define OPENSAT(name)                                                                       \
    int name(int place, const char *path, int flags, ...) {                                 \
        RIGHTS(flags);                                                                      \
        REAL(name);                                                                         \
        DO(MAKES(flags) && below(place, path), 1,                                           \
           record('C', AT(place, path), "", flags, "", 0), real(place, path, flags, rights)); \
    }
OPENSAT(openat)
OPENSAT(openat64)

/* Memory. The counter is that of the writes, as a run fails in one way only. */
static int no_memory(size_t size) {
    if ((mode != 'a' && mode != 'A') || size < LARGE || !*root) return 0;
    long here = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (at < 0 || (mode == 'a' ? here != at : here < at)) return 0;
    return errno = ENOMEM;
}
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void *malloc(size_t n) { return no_memory(n) ? NULL : __libc_malloc(n); }
void *calloc(size_t k, size_t n) { return no_memory(k * n) ? NULL : __libc_calloc(k, n); }
void *realloc(void *p, size_t n) { return no_memory(n) ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return no_memory(n) ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { return no_memory(n) || !(*p = __libc_memalign(a, n)) ? ENOMEM : 0; }
void *mmap(void *a, size_t n, int p, int f, int fd, off_t o) {
    if (fd < 0 && p != PROT_NONE && no_memory(n)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, a, n, p, f, fd, o);
}
