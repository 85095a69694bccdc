/* Preloaded into a box: makes every fsync and fdatasync slow, and counts them.
 *
 * BENCH_SYNC_COUNT      a file of 8 bytes in which they are counted
 * BENCH_SYNC_DELAY_MS   how much longer each takes
 * BENCH_STALL_EVERY_S   so often one takes
 * BENCH_STALL_MS        so much longer
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *count;
static long delay_ms, stall_ms, stall_every_s;
static volatile time_t last_stall_s;

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("BENCH_SYNC_COUNT");
    int file = path ? open(path, O_RDWR) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    count = map == MAP_FAILED ? NULL : map;
    if (file >= 0)
        close(file);
    delay_ms = number("BENCH_SYNC_DELAY_MS");
    stall_ms = number("BENCH_STALL_MS");
    stall_every_s = number("BENCH_STALL_EVERY_S");
    last_stall_s = now_s();
}

static void linger(void)
{
    long ms = delay_ms;
    time_t last_s = last_stall_s;
    if (stall_every_s && now_s() - last_s >= stall_every_s &&
        __sync_bool_compare_and_swap(&last_stall_s, last_s, now_s()))
        ms += stall_ms;
    if (count)
        __sync_fetch_and_add(count, 1);
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (ms && nanosleep(&time, &time))
        ;
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    linger();
    return real(file);
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    linger();
    return real(file);
}
