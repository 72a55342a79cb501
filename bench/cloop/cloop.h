/*
 * What the C contestants of the loop scenarios share. Each library has a file of
 * its own, which defines its few operations as static functions and then includes
 * the workloads (ring.h, timers.h, ...) that use them by name: so every library
 * runs the same workload, and no indirect call stands between the two.
 *
 * A program prints one JSON object, {"value": x, "extra": {...}}, and every error
 * ends it with a message and status 1.
 */
#ifndef CLOOP_H
#define CLOOP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *format, ...) {
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void fail_errno(const char *what) { fail("%s: %s", what, strerror(errno)); }

static inline void *allocate(size_t bytes) {
	void *p = calloc(1, bytes);
	if (!p) fail("out of memory for %zu bytes", bytes);
	return p;
}

static inline double clock_seconds(clockid_t clock) {
	struct timespec t;
	if (clock_gettime(clock, &t) < 0) fail_errno("clock_gettime");
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline double wall(void) { return clock_seconds(CLOCK_MONOTONIC); }

/* cpu is what all threads of this process have used, in user and kernel mode. */
static inline double cpu(void) { return clock_seconds(CLOCK_PROCESS_CPUTIME_ID); }

/* A lap is CPU time, which other programs hardly touch, and wall time, in seconds. */
struct lap {
	double cpu, wall;
};

static inline struct lap lap_now(void) { return (struct lap){cpu(), wall()}; }

/* lap_since is per operation. */
static inline struct lap lap_since(struct lap begin, long operations) {
	struct lap end = lap_now();
	return (struct lap){(end.cpu - begin.cpu) / operations, (end.wall - begin.wall) / operations};
}

/* lap_print prints nanoseconds. */
static inline void lap_print(struct lap lap) {
	printf("{\"value\": %g, \"extra\": {\"wall ns\": %g}}\n", lap.cpu * 1e9, lap.wall * 1e9);
}

static inline void sleep_until(double when) {
	struct timespec t = {(time_t)when, (long)((when - (time_t)when) * 1e9)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

/* random_fraction is a 64-bit xorshift generator, the same in every contestant. */
static inline double random_fraction(void) {
	static uint64_t x = 88172645463325252u;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x >> 11) * (1.0 / 9007199254740992.0);
}

static inline void raise_file_limit(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail_errno("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail_errno("setrlimit");
}

static inline void open_pair(int pair[2]) {
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) fail_errno("socketpair");
}

static inline long number(const char *text) {
	char *end;
	long n = strtol(text, &end, 10);
	if (*end || n < 0) fail("%s is not a number", text);
	return n;
}

static inline int compare_doubles(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static inline double median(double *values, int n) {
	qsort(values, n, sizeof *values, compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

#endif
