/* Stands between the server and the kernel (LD_PRELOAD) and does to its files what a bad disk and a power cut do.
 *
 * What is written under TORTURE_ROOT goes to the real files at once, and to a copy of each file, by inode, in
 * TORTURE_SHADOW/ino only when it is synced: fsync, fdatasync, or a write to a file opened with O_DSYNC. What names a
 * directory had when it was last synced goes to TORTURE_SHADOW/names. A link to every file is in TORTURE_SHADOW/live, so
 * that its bytes outlive its name. After a SIGKILL the harness puts together from these what a power cut had left.
 * Nothing is really synced: that is what a power cut makes of it.
 *
 * TORTURE_FAIL=site:call:error[:sticky] fails one call at one site: kind of call, kind of file, and call stack within
 * the program. TORTURE_SITES is a shared table of all sites seen and how often. TORTURE_CLOCK holds seconds that are
 * added to the wall clock. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RANGES 64
#define BUCKETS 4096
#define SITES 4096
#define FRAMES 48
#define DEPTH 10
#define PIECE 65536

struct range { off_t from, to; };

/* A regular file under the root. */
struct node {
    ino_t ino;
    int copy; /* what of it is durable; -1: not kept */
    int ranges;
    struct range dirty[RANGES];
    char kind[96];
    struct node *next;
};

struct site { uint64_t hash, count; char call[16], kind[96]; };

static char root[2048], shadow[2048];
static size_t root_len;
static dev_t device;
static int names = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *nodes[BUCKETS];
static struct site *sites; /* the first one counts the faults that were made */
static int64_t *clock_offset;
static uint64_t fail_hash, fail_call;
static int fail_error, fail_sticky, failing;
static uintptr_t program_from, program_to;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static __thread int inside;

enum { SHORT = -1 };

static int program(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    program_from = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > program_to) program_to = end;
    }
    return 1; /* the first one is the program */
}

static void *map(const char *path, size_t bytes) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return NULL;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    return at == MAP_FAILED ? NULL : at;
}

__attribute__((constructor)) static void begin(void) {
    const char *value;
    inside = 1;
    if ((value = getenv("TORTURE_CLOCK"))) clock_offset = map(value, 8);
    if ((value = getenv("TORTURE_ROOT"))) {
        snprintf(root, sizeof root, "%s", value);
        root_len = strlen(root);
        struct stat st;
        if (stat(root, &st) == 0) device = st.st_dev;
    }
    if ((value = getenv("TORTURE_SHADOW"))) {
        snprintf(shadow, sizeof shadow, "%s", value);
        char path[2100];
        snprintf(path, sizeof path, "%s/names", shadow);
        names = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if ((value = getenv("TORTURE_SITES"))) sites = map(value, SITES * sizeof(struct site));
    if ((value = getenv("TORTURE_FAIL"))) {
        unsigned long long hash = 0, call = 0;
        if (sscanf(value, "%llx:%llu:%d:%d", &hash, &call, &fail_error, &fail_sticky) != 4) _exit(97);
        fail_hash = hash, fail_call = call;
    }
    if (sites) {
        dl_iterate_phdr(program, NULL);
        void *warm[2];
        backtrace(warm, 2); /* loads what it needs, outside of any lock */
    }
    inside = 0;
}

/* The path of a file under the root, relative to it; 0: another file. */
static int ours(int dir, const char *path, char *out, size_t bytes) {
    char full[4096];
    if (!root_len || !path) return 0;
    if (path[0] == '/') snprintf(full, sizeof full, "%s", path);
    else {
        char link[64];
        ssize_t n;
        snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
        n = syscall(SYS_readlink, link, full, sizeof full - 1);
        if (n < 0) return 0;
        snprintf(full + n, sizeof full - n, "/%s", path);
    }
    if (strncmp(full, root, root_len) || (full[root_len] != '/' && full[root_len])) return 0;
    const char *rest = full + root_len;
    while (*rest == '/') rest++;
    if (!strcmp(rest, ".")) rest++;
    snprintf(out, bytes, "%s", rest);
    return 1;
}

static int path_of(int fd, char *out, size_t bytes) {
    char link[64], full[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlink, link, full, sizeof full - 1);
    if (n <= 0) return 0;
    full[n] = 0;
    return ours(AT_FDCWD, full, out, bytes);
}

/* Which kind of file: its path with every number, and every random name, as #. */
static void kind_of(const char *path, char *kind, size_t bytes) {
    size_t n = 0;
    for (const char *at = path; *at && n + 2 < bytes;) {
        if (*at >= '0' && *at <= '9') {
            while (*at >= '0' && *at <= '9') at++;
            kind[n++] = '#';
        } else kind[n++] = *at++;
    }
    kind[n] = 0;
    char *random = strstr(kind, "/.tmp");
    if (random) strcpy(random + 5, "#");
    if (!n) strcpy(kind, ".");
}

/* Outside parties keep their books elsewhere: our power cut does not reach them. */
static int elsewhere(const char *path) {
    return !strncmp(path, "provider", 8) || !strncmp(path, "warehouse", 9);
}

static void mark(struct node *node, off_t from, off_t to) {
    if (node->copy < 0 || from >= to) return;
    for (int i = 0; i < node->ranges; i++) {
        struct range *known = &node->dirty[i];
        if (from <= known->to && to >= known->from) {
            if (from < known->from) known->from = from;
            if (to > known->to) known->to = to;
            return;
        }
    }
    if (node->ranges == RANGES) {
        for (int i = 1; i < RANGES; i++) {
            if (node->dirty[i].from < node->dirty[0].from) node->dirty[0].from = node->dirty[i].from;
            if (node->dirty[i].to > node->dirty[0].to) node->dirty[0].to = node->dirty[i].to;
        }
        node->ranges = 1;
        mark(node, from, to);
        return;
    }
    node->dirty[node->ranges++] = (struct range){from, to};
}

/* Copies a range, holes as holes. */
static void copy(int live, int to, off_t from, off_t end) {
    static char piece[PIECE];
    while (from < end) {
        off_t data = syscall(SYS_lseek, live, from, SEEK_DATA);
        if (data < 0 || data > end) data = end;
        if (data > from) syscall(SYS_fallocate, to, 3 /* keep size, punch hole */, from, data - from);
        if (data == end) return;
        off_t hole = syscall(SYS_lseek, live, data, SEEK_HOLE);
        if (hole < 0 || hole > end) hole = end;
        for (from = data; from < hole;) {
            ssize_t n = syscall(SYS_pread64, live, piece, (size_t)(hole - from < PIECE ? hole - from : PIECE), from);
            if (n <= 0 || syscall(SYS_pwrite64, to, piece, n, from) != n) return;
            from += n;
        }
    }
}

static int live_of(ino_t ino) {
    char path[2200];
    snprintf(path, sizeof path, "%s/live/%lu", shadow, (unsigned long)ino);
    return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

static struct node *find(ino_t ino) {
    for (struct node *node = nodes[ino % BUCKETS]; node; node = node->next)
        if (node->ino == ino) return node;
    return NULL;
}

/* The file behind this path, just opened. `fresh`: it was not there before. */
static struct node *meet(int fd, const char *full, const char *path, int fresh) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return NULL;
    struct node *node = find(st.st_ino);
    if (!node || fresh) { /* a number may come again where no link of ours keeps it */
        if (!node) {
            node = calloc(1, sizeof *node);
            node->ino = st.st_ino;
            node->next = nodes[st.st_ino % BUCKETS];
            nodes[st.st_ino % BUCKETS] = node;
        }
        node->copy = -1;
        node->ranges = 0;
        if (*shadow && !elsewhere(path)) {
            char name[2200];
            snprintf(name, sizeof name, "%s/live/%lu", shadow, (unsigned long)st.st_ino);
            syscall(SYS_linkat, AT_FDCWD, full, AT_FDCWD, name, 0);
            snprintf(name, sizeof name, "%s/ino/%lu", shadow, (unsigned long)st.st_ino);
            node->copy = syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
            int live = fresh ? -1 : live_of(st.st_ino);
            if (live >= 0) {
                syscall(SYS_ftruncate, node->copy, st.st_size);
                copy(live, node->copy, 0, st.st_size);
                syscall(SYS_close, live);
            }
        }
    }
    kind_of(path, node->kind, sizeof node->kind);
    return node;
}

static struct node *node_of(int fd) {
    struct stat st;
    if (!root_len || inside || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_dev != device) return NULL;
    pthread_mutex_lock(&lock);
    struct node *node = find(st.st_ino);
    pthread_mutex_unlock(&lock);
    return node;
}

/* Should this call fail? An errno, SHORT, or 0. */
static int fault(const char *call, const char *kind) {
    if (!sites) return 0;
    void *frames[FRAMES];
    inside = 1;
    int depth = backtrace(frames, FRAMES), used = 0;
    /* Within a store that can be made afresh, every file counts, and not every way to it. */
    if (!strncmp(kind, "store", 5)) depth = 0;
    inside = 0;
    uint64_t hash = 14695981039346656037ull;
    for (const char *at = call; *at; at++) hash = (hash ^ (unsigned char)*at) * 1099511628211ull;
    for (const char *at = kind; *at; at++) hash = (hash ^ (unsigned char)*at) * 1099511628211ull;
    for (int i = 0; i < depth && used < DEPTH; i++) {
        uintptr_t at = (uintptr_t)frames[i];
        if (at < program_from || at >= program_to) continue;
        hash = (hash ^ (at - program_from)) * 1099511628211ull;
        used++;
    }
    int error = 0;
    pthread_mutex_lock(&lock);
    for (int i = 1; i < SITES; i++) {
        if (!sites[i].count) {
            sites[i].hash = hash;
            snprintf(sites[i].call, sizeof sites[i].call, "%s", call);
            snprintf(sites[i].kind, sizeof sites[i].kind, "%s", kind);
        } else if (sites[i].hash != hash) continue;
        sites[i].count++;
        if (hash == fail_hash && (sites[i].count == fail_call || (failing && fail_sticky))) {
            failing = 1;
            sites[0].count++;
            error = fail_error;
        }
        break;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

/* ---- files and names */

static int opened(int dir, const char *path, int flags, mode_t mode) {
    char rest[2048], full[4200], kind[96];
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (inside || !writes || !ours(dir, path, rest, sizeof rest)) return syscall(SYS_openat, dir, path, flags, mode);
    kind_of(rest, kind, sizeof kind);
    struct stat st;
    snprintf(full, sizeof full, "%s/%s", root, rest);
    int fresh = stat(full, &st) != 0;
    int error = (fresh && flags & O_CREAT) || flags & O_TRUNC ? fault("open", kind) : 0;
    if (error) return errno = error == SHORT ? EINTR : error, -1;
    pthread_mutex_lock(&lock);
    int fd = syscall(SYS_openat, dir, path, flags & ~O_TRUNC, mode), saved = errno;
    if (fd >= 0) {
        struct node *node = meet(fd, full, rest, fresh);
        if (node && flags & O_TRUNC && !fresh) {
            syscall(SYS_ftruncate, fd, 0);
            mark(node, 0, st.st_size);
        }
    }
    pthread_mutex_unlock(&lock);
    return errno = saved, fd;
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } mode; })

int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int openat(int dir, const char *path, int flags, ...) { return opened(dir, path, flags, MODE(flags)); }
int openat64(int dir, const char *path, int flags, ...) { return opened(dir, path, flags, MODE(flags)); }

static int name_fault(const char *call, int dir, const char *path) {
    char rest[2048], kind[96];
    if (inside || !sites || !ours(dir, path, rest, sizeof rest)) return 0;
    kind_of(rest, kind, sizeof kind);
    int error = fault(call, kind);
    if (error) errno = error == SHORT ? EINTR : error;
    return error;
}

int rename(const char *from, const char *to) {
    char rest[2048];
    if (name_fault("rename", AT_FDCWD, to)) return -1;
    int done = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    struct stat st;
    if (!done && !inside && ours(AT_FDCWD, to, rest, sizeof rest) && !stat(to, &st)) {
        pthread_mutex_lock(&lock);
        struct node *node = find(st.st_ino);
        if (node) kind_of(rest, node->kind, sizeof node->kind);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int unlink(const char *path) {
    return name_fault("unlink", AT_FDCWD, path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int unlinkat(int dir, const char *path, int flags) {
    return name_fault("unlink", dir, path) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

static void note(const char *text) {
    ssize_t written = syscall(SYS_write, names, text, strlen(text));
    (void)written;
}

int mkdir(const char *path, mode_t mode) {
    char rest[2048];
    if (name_fault("mkdir", AT_FDCWD, path)) return -1;
    int done = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    struct stat st;
    if (!done && !inside && names >= 0 && ours(AT_FDCWD, path, rest, sizeof rest) && !stat(path, &st)) {
        char line[64];
        snprintf(line, sizeof line, "N\t%lu\n", (unsigned long)st.st_ino);
        note(line);
    }
    return done;
}

/* ---- bytes */

static int is_dsync(int fd) { return syscall(SYS_fcntl, fd, F_GETFL) & O_DSYNC; }

/* Half of it, in whole sectors where that is possible. */
static size_t half(size_t bytes) { return bytes >= 1024 ? bytes / 2 / 512 * 512 : bytes / 2; }

static ssize_t written(int fd, struct node *node, const void *bytes, size_t count, off_t at, int positioned) {
    int error = fault("write", node->kind);
    size_t part = error ? half(count) : count;
    if (error > 0 && error != EIO) return errno = error, -1;
    if (error == EIO && part == 0) return errno = EIO, -1;
    ssize_t n = positioned ? syscall(SYS_pwrite64, fd, bytes, part, at) : syscall(SYS_write, fd, bytes, part);
    if (n > 0) {
        pthread_mutex_lock(&lock);
        if (!positioned) at = syscall(SYS_lseek, fd, 0, SEEK_CUR) - n;
        if (node->copy >= 0 && is_dsync(fd) && error != EIO) {
            ssize_t durable = syscall(SYS_pwrite64, node->copy, bytes, n, at);
            (void)durable;
        } else mark(node, at, at + n);
        pthread_mutex_unlock(&lock);
    }
    if (error == EIO) return errno = EIO, -1; /* half of it is there: the caller must not believe in either */
    return n;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    struct node *node = node_of(fd);
    return node ? written(fd, node, bytes, count, 0, 0) : syscall(SYS_write, fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct node *node = node_of(fd);
    if (!node) return syscall(SYS_writev, fd, parts, count);
    for (int i = 0; i < count; i++) /* fewer than asked for is allowed */
        if (parts[i].iov_len) return written(fd, node, parts[i].iov_base, parts[i].iov_len, 0, 0);
    return 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    struct node *node = node_of(fd);
    return node ? written(fd, node, bytes, count, at, 1) : syscall(SYS_pwrite64, fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { return pwrite(fd, bytes, count, at); }

int ftruncate(int fd, off_t size) {
    struct node *node = node_of(fd);
    if (!node) return syscall(SYS_ftruncate, fd, size);
    int error = fault("truncate", node->kind);
    if (error) return errno = error == SHORT ? EINTR : error, -1;
    struct stat st;
    pthread_mutex_lock(&lock);
    off_t before = fstat(fd, &st) ? 0 : st.st_size;
    int done = syscall(SYS_ftruncate, fd, size);
    if (!done) mark(node, before < size ? before : size, before < size ? size : before);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t at, off_t bytes) {
    struct node *node = node_of(fd);
    if (!node) return syscall(SYS_fallocate, fd, mode, at, bytes);
    int error = fault("allocate", node->kind);
    if (error) return errno = error == SHORT ? EINTR : error, -1;
    struct stat st;
    pthread_mutex_lock(&lock);
    off_t before = fstat(fd, &st) ? 0 : st.st_size;
    int done = syscall(SYS_fallocate, fd, mode, at, bytes);
    if (!done) mark(node, before, at + bytes);
    pthread_mutex_unlock(&lock);
    return done;
}

/* ---- syncs */

static void sync_node(struct node *node, int drop) {
    pthread_mutex_lock(&lock);
    int live = node->copy < 0 || drop ? -1 : live_of(node->ino);
    if (live >= 0) {
        struct stat st;
        if (!fstat(live, &st)) {
            for (int i = 0; i < node->ranges; i++) {
                off_t to = node->dirty[i].to < st.st_size ? node->dirty[i].to : st.st_size;
                copy(live, node->copy, node->dirty[i].from, to);
            }
            syscall(SYS_ftruncate, node->copy, st.st_size);
        }
        syscall(SYS_close, live);
    }
    /* After a failed sync the kernel calls these pages clean, and a later sync does not write them. */
    node->ranges = 0;
    pthread_mutex_unlock(&lock);
}

/* The names that a directory has now are durable. One write, so that a kill leaves all of it or nothing. */
static void sync_names(const char *rest, ino_t ino) {
    char full[4200];
    snprintf(full, sizeof full, "%s/%s", root, rest);
    inside = 1;
    pthread_mutex_lock(&lock);
    DIR *dir = opendir(full);
    size_t room = 1 << 20, used = 0;
    char *text = malloc(room);
    if (dir && text) {
        used += snprintf(text, room, "S\t%lu\n", (unsigned long)ino);
        for (struct dirent *entry; (entry = readdir(dir)) && used + 512 < room;)
            if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
                used += snprintf(text + used, room - used, "%c\t%lu\t%s\n", entry->d_type == DT_DIR ? 'd' : 'f',
                                 (unsigned long)entry->d_ino, entry->d_name);
        used += snprintf(text + used, room - used, ".\n");
        ssize_t n = syscall(SYS_write, names, text, used);
        (void)n;
    }
    free(text);
    if (dir) closedir(dir);
    pthread_mutex_unlock(&lock);
    inside = 0;
}

static int synced(int fd, const char *call) {
    struct stat st;
    char rest[2048], kind[96];
    if (!root_len || inside || fstat(fd, &st) || st.st_dev != device) return syscall(SYS_fsync, fd);
    if (S_ISDIR(st.st_mode)) {
        if (!path_of(fd, rest, sizeof rest)) return syscall(SYS_fsync, fd);
        kind_of(rest, kind, sizeof kind);
        int error = fault("syncdir", kind);
        if (error) return errno = error == SHORT ? EINTR : error, -1;
        if (names >= 0) sync_names(rest, st.st_ino);
        return 0;
    }
    struct node *node = node_of(fd);
    if (!node) return 0; /* nothing was written to it in this life */
    int error = fault(call, node->kind);
    if (error == SHORT) return errno = EINTR, -1;
    sync_node(node, error);
    return error ? (errno = error, -1) : 0;
}

int fsync(int fd) { return synced(fd, "sync"); }
int fdatasync(int fd) { return synced(fd, "datasync"); }

/* ---- time */

int clock_gettime(clockid_t which, struct timespec *time) {
    if (!real_clock_gettime) {
        inside++;
        real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        inside--;
    }
    int done = real_clock_gettime(which, time);
    if (!done && which == CLOCK_REALTIME && clock_offset) time->tv_sec += *(volatile int64_t *)clock_offset;
    return done;
}
