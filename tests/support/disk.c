/* Preloaded into a process: what it tells the disk about the files below one folder is recorded, or refused.
 *
 * DISK_ROOT    the folder (its real path, without a slash at the end)
 * DISK_RECORD  a file to which each call is added: see tests/support/disk.py
 * DISK_FAULT   a file; while there is a number in it, whatever would change a file fails with this errno
 *
 * A call that changes something is recorded and made under one lock, so that the order of the records is the order of
 * the changes. A sync is recorded twice, before and after: only what had changed before it began is sure when it ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC_BEGINS, SYNC_ENDS, UNLINK, RENAME, MKDIR, RMDIR };

struct head {
    uint32_t kind, path_bytes, data_bytes, unused;
    uint64_t offset;
};

static const char *root, *fault;
static int record = -1;
static uint64_t syncs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void)
{
    root = getenv("DISK_ROOT");
    fault = getenv("DISK_FAULT");
    const char *path = getenv("DISK_RECORD");
    if (path && root)
        record = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int is_below(const char *path)
{
    size_t length = root ? strlen(root) : 0;
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

/* Whether a path lies below the folder; what it is called from there. */
static int named(const char *path, char *name)
{
    char whole[PATH_MAX];
    if (path[0] == '/') {
        if (strlen(path) >= PATH_MAX)
            return 0;
        strcpy(whole, path);
    } else {
        if (!getcwd(whole, sizeof whole) || strlen(whole) + strlen(path) + 2 > PATH_MAX)
            return 0;
        strcat(strcat(whole, "/"), path);
    }
    if (!is_below(whole))
        return 0;
    strcpy(name, whole + strlen(root) + (whole[strlen(root)] == '/'));
    return 1;
}

static int opened(int file, char *name)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return named(path, name);
}

static int refused(void)
{
    char text[16] = {0};
    int file = fault ? (int)REAL(open)(fault, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    ssize_t length = REAL(read)(file, text, sizeof text - 1);
    REAL(close)(file);
    if (length <= 0 || !atoi(text))
        return 0;
    errno = atoi(text);
    return 1;
}

static void note(uint32_t kind, const char *name, const void *data, size_t bytes, uint64_t offset)
{
    if (record < 0)
        return;
    struct head head = {kind, (uint32_t)strlen(name), (uint32_t)bytes, 0, offset};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)name, head.path_bytes}, {(void *)data, bytes}};
    ssize_t all = (ssize_t)(sizeof head + head.path_bytes + bytes);
    if (REAL(writev)(record, parts, 3) != all)
        abort();
}

static void unheard_of(const char *what)
{
    fprintf(stderr, "disk.c: %s is not recorded\n", what);
    abort();
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static int open_(int folder, const char *path, int flags, mode_t mode, int is_at)
{
    char name[PATH_MAX];
    int is_ours = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && named(path, name);
    if (is_ours && refused())
        return -1;
    if (is_ours)
        pthread_mutex_lock(&lock);
    int is_new = is_ours && (flags & O_CREAT) && access(path, F_OK);
    int file = is_at ? REAL(openat)(folder, path, flags, mode) : REAL(open)(path, flags, mode);
    if (is_ours) {
        if (file >= 0 && is_new)
            note(CREATE, name, "", 0, 0);
        else if (file >= 0 && (flags & O_TRUNC))
            note(TRUNCATE, name, "", 0, 0);
        pthread_mutex_unlock(&lock);
    }
    return file;
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & O_CREAT) {                                                                                           \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_(AT_FDCWD, path, flags, mode, 0); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_(AT_FDCWD, path, flags | O_LARGEFILE, mode, 0); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return open_(folder, path, flags, mode, 1); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return open_(folder, path, flags, mode, 1); }

#define CHANGE(path, kind, data, bytes, call)                                                                          \
    char name[PATH_MAX];                                                                                               \
    if (!named(path, name))                                                                                            \
        return call;                                                                                                   \
    if (refused())                                                                                                     \
        return -1;                                                                                                     \
    pthread_mutex_lock(&lock);                                                                                         \
    int outcome = call, error = errno;                                                                                 \
    if (!outcome)                                                                                                      \
        note(kind, name, data, bytes, 0);                                                                              \
    pthread_mutex_unlock(&lock);                                                                                       \
    errno = error;                                                                                                     \
    return outcome;

int unlink(const char *path) { CHANGE(path, UNLINK, "", 0, REAL(unlink)(path)) }
int mkdir(const char *path, mode_t mode) { CHANGE(path, MKDIR, "", 0, REAL(mkdir)(path, mode)) }
int rmdir(const char *path) { CHANGE(path, RMDIR, "", 0, REAL(rmdir)(path)) }

int rename(const char *path, const char *to)
{
    char target[PATH_MAX];
    if (!named(to, target))
        return REAL(rename)(path, to);
    CHANGE(path, RENAME, target, strlen(target), REAL(rename)(path, to))
}

/* --- content ------------------------------------------------------------------------------------------------------ */

#define CONTENT(kind, data, size, at, failed, call)                                                                    \
    char name[PATH_MAX];                                                                                               \
    if (!opened(file, name))                                                                                           \
        return call;                                                                                                   \
    if (refused())                                                                                                     \
        return failed;                                                                                                 \
    pthread_mutex_lock(&lock);                                                                                         \
    uint64_t place = (uint64_t)(at);                                                                                   \
    ssize_t outcome = call;                                                                                            \
    int error = errno;                                                                                                 \
    if ((kind) == WRITE ? outcome > 0 : !outcome)                                                                      \
        note(kind, name, data, (kind) == WRITE ? (size_t)outcome : 0, place);                                          \
    pthread_mutex_unlock(&lock);                                                                                       \
    errno = error;                                                                                                     \
    return outcome;

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    CONTENT(WRITE, data, size, at, -1, REAL(pwrite)(file, data, size, at))
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at)
{
    CONTENT(WRITE, data, size, at, -1, REAL(pwrite64)(file, data, size, at))
}
ssize_t write(int file, const void *data, size_t size)
{
    CONTENT(WRITE, data, size, lseek(file, 0, SEEK_CUR), -1, REAL(write)(file, data, size))
}
int ftruncate(int file, off_t size) { CONTENT(TRUNCATE, "", 0, size, -1, REAL(ftruncate)(file, size)) }
int ftruncate64(int file, off64_t size) { CONTENT(TRUNCATE, "", 0, size, -1, REAL(ftruncate64)(file, size)) }
int posix_fallocate(int file, off_t at, off_t size)
{
    CONTENT(TRUNCATE, "", 0, at + size, errno, REAL(posix_fallocate)(file, at, size))
}
int posix_fallocate64(int file, off64_t at, off64_t size)
{
    CONTENT(TRUNCATE, "", 0, at + size, errno, REAL(posix_fallocate64)(file, at, size))
}

#define SYNC(call)                                                                                                     \
    char name[PATH_MAX];                                                                                               \
    if (!opened(file, name))                                                                                           \
        return call;                                                                                                   \
    pthread_mutex_lock(&lock);                                                                                         \
    uint64_t number = ++syncs;                                                                                         \
    note(SYNC_BEGINS, name, #call, strlen(#call), number);                                                             \
    pthread_mutex_unlock(&lock);                                                                                       \
    int outcome = call, error = errno;                                                                                 \
    pthread_mutex_lock(&lock);                                                                                         \
    if (!outcome)                                                                                                      \
        note(SYNC_ENDS, name, #call, strlen(#call), number);                                                           \
    pthread_mutex_unlock(&lock);                                                                                       \
    errno = error;                                                                                                     \
    return outcome;

int fsync(int file) { SYNC(REAL(fsync)(file)) }
int fdatasync(int file) { SYNC(REAL(fdatasync)(file)) }

/* --- what nobody is expected to call ------------------------------------------------------------------------------ */

#define NOBODY(type, call, parameters, arguments)                                                                      \
    type call parameters                                                                                               \
    {                                                                                                                  \
        char name[PATH_MAX];                                                                                           \
        if (opened(file, name))                                                                                        \
            unheard_of(#call);                                                                                         \
        return REAL(call) arguments;                                                                                   \
    }

NOBODY(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count))
NOBODY(ssize_t, pwritev, (int file, const struct iovec *parts, int count, off_t at), (file, parts, count, at))
NOBODY(ssize_t, sendfile, (int file, int from, off_t *at, size_t size), (file, from, at, size))
NOBODY(ssize_t, copy_file_range, (int from, off64_t *at, int file, off64_t *to, size_t size, unsigned flags),
       (from, at, file, to, size, flags))
NOBODY(int, fallocate, (int file, int mode, off_t at, off_t size), (file, mode, at, size))
