/* For LD_PRELOAD: counts what processes do to files below a folder, and makes the n-th act fail. fault_points.py drives it.

   Nothing happens until the environment holds FAULT_ROOT, so that the process which others are forked from can be loaded with it:

   FAULT_ROOT    the folder; files in a folder `logs` below it are left out
   FAULT_LEDGER  a file of 64 bytes that all processes of a command share: struct ledger
   FAULT_TRACE   a file to which each act appends a line, its letter and its path
   FAULT_ACTS    which acts count: (w)rite, (c)reate or cut, (n)ame and remove, (s)ync
   FAULT_AT      the number of the act at which something happens, from 1; 0 for nothing
   FAULT_DO      kill: the command's first process and this one get SIGKILL, half of a write is done
                 full: half of a write is done; writes and creations after it fail with ENOSPC
                 fail: this act alone fails with EIO
                 interrupt: the command's first process gets SIGINT, as by Ctrl-C; the act is done
                 back: the clock is set back by FAULT_SECONDS
   FAULT_LATE    NAME:COUNT: files whose path holds NAME are not there for the first COUNT looks

   What the C library writes by itself (fwrite) does not come by here. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct ledger {
    atomic_long acts, looks, happened;
    atomic_int first;
};

static struct ledger *ledger;
static char root[PATH_MAX], acts[16], deed[16], late[256], trace[PATH_MAX];
static long at, seconds, looks;

static const char *setting(const char *name, char *to, size_t size) {
    const char *found = getenv(name);
    snprintf(to, size, "%s", found ? found : "");
    return to;
}

/* Whether the environment asks for anything; read once, for good. */
static int armed(void) {
    char path[PATH_MAX], number[32];
    if (ledger) return 1;
    if (!getenv("FAULT_ROOT") || !*setting("FAULT_LEDGER", path, sizeof path)) return 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return 0;
    void *map = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED) return 0;
    setting("FAULT_ROOT", root, sizeof root);
    setting("FAULT_ACTS", acts, sizeof acts);
    setting("FAULT_DO", deed, sizeof deed);
    setting("FAULT_TRACE", trace, sizeof trace);
    at = atol(setting("FAULT_AT", number, sizeof number));
    seconds = atol(setting("FAULT_SECONDS", number, sizeof number));
    char *colon = strrchr(setting("FAULT_LATE", late, sizeof late) ? late : late, ':');
    if (colon) looks = atol(colon + 1), *colon = 0;
    int none = 0;
    ledger = map;
    atomic_compare_exchange_strong(&ledger->first, &none, getpid());
    return 1;
}

static int below(const char *path) {
    size_t length = strlen(root);
    return !strncmp(path, root, length) && path[length] == '/' && !strstr(path + length, "/logs/");
}

static const char *absolute(int folder, const char *path, char *to) {
    char link[64];
    ssize_t length = 0;
    if (path[0] == '/') return path;
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    if ((length = readlink(link, to, PATH_MAX - 1)) < 0) return "";
    snprintf(to + length, PATH_MAX - length, "/%s", path);
    return to;
}

enum { PASS, HALF, FAIL };

/* Counts an act on a file; what is to become of it. */
static int act(char kind, const char *path) {
    if (!below(path) || !strchr(acts, kind)) return PASS;
    long number = atomic_fetch_add(&ledger->acts, 1) + 1;
    if (*trace) {
        char line[PATH_MAX + 4];
        int length = snprintf(line, sizeof line, "%c %s\n", kind, path + strlen(root) + 1);
        int fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
    if (!at || number < at) return PASS;
    int now = number == at;
    if (now) atomic_store(&ledger->happened, 1);
    if (!strcmp(deed, "kill")) return now && kind == 'w' ? HALF : FAIL;
    if (!strcmp(deed, "full") && (kind == 'w' || kind == 'c')) {
        errno = ENOSPC;
        return now && kind == 'w' ? HALF : FAIL;
    }
    if (!strcmp(deed, "interrupt") && now) kill(atomic_load(&ledger->first), SIGINT);
    if (!strcmp(deed, "fail") && now) {
        errno = EIO;
        return FAIL;
    }
    return PASS;
}

/* The end of an act that must not be done: death, or the error that `act` has set. */
static long ended(void) {
    if (!strcmp(deed, "kill")) {
        kill(atomic_load(&ledger->first), SIGKILL);
        kill(getpid(), SIGKILL);
        pause();
    }
    return -1;
}

static int act_on(char kind, int fd) {
    char link[64], path[PATH_MAX];
    int before = errno;
    if (!armed()) return PASS;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return errno = before, PASS;
    path[length] = 0;
    errno = before;
    return act(kind, path);
}

static int act_at(char kind, int folder, const char *path) {
    char whole[PATH_MAX];
    return armed() ? act(kind, absolute(folder, path, whole)) : PASS;
}

static int there(int folder, const char *path) {
    int before = errno, found = !syscall(SYS_faccessat, folder, path, F_OK);
    errno = before;
    return found;
}

/* Whether a file is not to be seen yet. */
static int hidden(int folder, const char *path) {
    char whole[PATH_MAX];
    if (!armed() || !*late || !path || !strstr(absolute(folder, path, whole), late)) return 0;
    if (atomic_fetch_add(&ledger->looks, 1) >= looks) return 0;
    errno = ENOENT;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRITES(name, params, whole, half)                        \
    ssize_t name params {                                        \
        switch (act_on('w', fd)) {                               \
        case PASS: return whole;                                 \
        case HALF: {                                             \
            ssize_t done = count > 1 ? half : 0;                 \
            if (!strcmp(deed, "kill") || done <= 0) return ended(); \
            return done;                                         \
        }                                                        \
        }                                                        \
        return ended();                                          \
    }
WRITES(write, (int fd, const void *data, size_t count), syscall(SYS_write, fd, data, count), syscall(SYS_write, fd, data, count / 2))
WRITES(pwrite, (int fd, const void *data, size_t count, off_t to), syscall(SYS_pwrite64, fd, data, count, to), syscall(SYS_pwrite64, fd, data, count / 2, to))
WRITES(pwrite64, (int fd, const void *data, size_t count, off64_t to), syscall(SYS_pwrite64, fd, data, count, to), syscall(SYS_pwrite64, fd, data, count / 2, to))
WRITES(writev, (int fd, const struct iovec *data, int count), syscall(SYS_writev, fd, data, count), syscall(SYS_writev, fd, data, count / 2))
WRITES(sendfile64, (int fd, int from, off64_t *to, size_t count), syscall(SYS_sendfile, fd, from, to, count), syscall(SYS_sendfile, fd, from, to, count / 2))
WRITES(sendfile, (int fd, int from, off_t *to, size_t count), syscall(SYS_sendfile, fd, from, to, count), syscall(SYS_sendfile, fd, from, to, count / 2))
WRITES(copy_file_range, (int from, off64_t *at_from, int fd, off64_t *to, size_t count, unsigned flags), syscall(SYS_copy_file_range, from, at_from, fd, to, count, flags), syscall(SYS_copy_file_range, from, at_from, fd, to, count / 2, flags))

#define ON(kind, name, params, real) int name params { return act_on(kind, fd) ? (int)ended() : (int)real; }
ON('s', fsync, (int fd), syscall(SYS_fsync, fd))
ON('s', fdatasync, (int fd), syscall(SYS_fdatasync, fd))
ON('c', ftruncate, (int fd, off_t size), syscall(SYS_ftruncate, fd, size))
ON('c', ftruncate64, (int fd, off64_t size), syscall(SYS_ftruncate, fd, size))
ON('c', fallocate, (int fd, int mode, off_t from, off_t size), syscall(SYS_fallocate, fd, mode, from, size))
ON('c', fallocate64, (int fd, int mode, off64_t from, off64_t size), syscall(SYS_fallocate, fd, mode, from, size))

/* To remove what is not there, or to make a folder that is, changes nothing and does not count. */
#define AT(name, params, folder, path, counts, real) \
    int name params { return (counts) && act_at('n', folder, path) ? (int)ended() : (int)real; }
AT(rename, (const char *from, const char *to), AT_FDCWD, to, 1, syscall(SYS_rename, from, to))
AT(renameat, (int here, const char *from, int beyond, const char *to), beyond, to, 1, syscall(SYS_renameat, here, from, beyond, to))
AT(link, (const char *from, const char *to), AT_FDCWD, to, 1, syscall(SYS_link, from, to))
AT(linkat, (int here, const char *from, int beyond, const char *to, int flags), beyond, to, 1, syscall(SYS_linkat, here, from, beyond, to, flags))
AT(symlink, (const char *from, const char *to), AT_FDCWD, to, 1, syscall(SYS_symlink, from, to))
AT(unlink, (const char *path), AT_FDCWD, path, there(AT_FDCWD, path), syscall(SYS_unlink, path))
AT(unlinkat, (int here, const char *path, int flags), here, path, there(here, path), syscall(SYS_unlinkat, here, path, flags))
AT(rmdir, (const char *path), AT_FDCWD, path, there(AT_FDCWD, path), syscall(SYS_rmdir, path))
AT(mkdir, (const char *path, mode_t mode), AT_FDCWD, path, !there(AT_FDCWD, path), syscall(SYS_mkdir, path, mode))

#define OPENS(name, params, last, folder, extra)                                        \
    int name params {                                                                   \
        va_list rest;                                                                   \
        va_start(rest, last);                                                           \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;          \
        va_end(rest);                                                                   \
        if (!(flags & O_CREAT) && hidden(folder, path)) return -1;                                           \
        if (flags & (O_CREAT | O_TRUNC) && act_at('c', folder, path)) return (int)ended(); \
        return (int)syscall(SYS_openat, folder, path, flags | extra, mode);             \
    }
OPENS(open, (const char *path, int flags, ...), flags, AT_FDCWD, 0)
OPENS(open64, (const char *path, int flags, ...), flags, AT_FDCWD, O_LARGEFILE)
OPENS(openat, (int here, const char *path, int flags, ...), flags, here, 0)
OPENS(openat64, (int here, const char *path, int flags, ...), flags, here, O_LARGEFILE)

#define LOOKS(name, params, args, folder) int name params { return hidden(folder, path) ? -1 : REAL(name) args; }
LOOKS(stat, (const char *path, struct stat *to), (path, to), AT_FDCWD)
LOOKS(stat64, (const char *path, struct stat64 *to), (path, to), AT_FDCWD)
LOOKS(lstat, (const char *path, struct stat *to), (path, to), AT_FDCWD)
LOOKS(lstat64, (const char *path, struct stat64 *to), (path, to), AT_FDCWD)
LOOKS(fstatat, (int here, const char *path, struct stat *to, int flags), (here, path, to, flags), here)
LOOKS(fstatat64, (int here, const char *path, struct stat64 *to, int flags), (here, path, to, flags), here)
LOOKS(access, (const char *path, int mode), (path, mode), AT_FDCWD)

static long set_back(void) {
    return armed() && !strcmp(deed, "back") && atomic_load(&ledger->happened) ? seconds : 0;
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int found = real(clock, to);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) to->tv_sec -= set_back();
    return found;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec, to->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
