/*
 * The C baseline: what two processes and two pipes can do when nothing but the
 * work itself is in the way. It forks its own child and echoes frames
 *
 *     id:u32be  length:u32be  payload
 *
 * in both directions. Both ends do what any RPC must do: decode every header,
 * check its length, look the id up in a table, and copy the payload.
 *
 *     cbase pipelined CALLS INFLIGHT SIZE READ   prints calls/s; READ is the most bytes one read takes
 *     cbase serial CALLS SIZE epoll|blocking     prints the round trip in us
 *     cbase worker READFD WRITEFD                serves until EOF (for measuring its memory)
 *
 * Every error ends the program with a message and status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADER = 8,
	MAX_FRAME = 64 << 20,
	PIPE_BYTES = 64 << 10, /* what a Linux pipe holds by default */
	JOBS = 1 << 16,        /* the child's table; the parent's is never larger */
};

static const char *role = "parent";

/*
 * The most one read takes. Large reads make parent and child take turns, which
 * is the fastest when the scheduler keeps both on one CPU; small ones keep both
 * busy at once, which is the fastest when it spreads them. Nobody can tell in
 * advance which it will be, so the harness runs both.
 */
static size_t chunk = PIPE_BYTES;

static void fail(const char *format, ...) {
	va_list args;
	va_start(args, format);
	fprintf(stderr, "cbase %s: ", role);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void fail_errno(const char *what) { fail("%s: %s", what, strerror(errno)); }

static void *allocate(size_t bytes) {
	void *p = calloc(1, bytes);
	if (!p) fail("out of memory for %zu bytes", bytes);
	return p;
}

static double seconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- bytes waiting to be parsed, or to be written ---- */

struct buffer {
	char *data;
	size_t start, end, capacity;
};

static void reserve(struct buffer *b, size_t bytes) {
	if (b->capacity - b->end >= bytes) return;
	size_t used = b->end - b->start;
	if (b->start) memmove(b->data, b->data + b->start, used);
	b->start = 0;
	b->end = used;
	if (b->capacity - used >= bytes) return;
	b->capacity = (used + bytes) * 2;
	b->data = realloc(b->data, b->capacity);
	if (!b->data) fail("out of memory for %zu bytes", b->capacity);
}

static inline void put_frame(struct buffer *b, uint32_t id, const char *payload, uint32_t length) {
	reserve(b, HEADER + length);
	uint32_t header[2] = {htonl(id), htonl(length)};
	memcpy(b->data + b->end, header, HEADER);
	memcpy(b->data + b->end + HEADER, payload, length);
	b->end += HEADER + length;
}

struct frame {
	uint32_t id, length;
	const char *payload;
};

/* take_frame returns 0 when the buffer holds no complete frame. */
static inline int take_frame(struct buffer *b, struct frame *f) {
	size_t have = b->end - b->start;
	if (have < HEADER) return 0;
	uint32_t header[2];
	memcpy(header, b->data + b->start, HEADER);
	f->id = ntohl(header[0]);
	f->length = ntohl(header[1]);
	if (f->length > MAX_FRAME) fail("a frame of %u bytes", f->length);
	if (have - HEADER < f->length) return 0;
	f->payload = b->data + b->start + HEADER;
	b->start += HEADER + f->length;
	return 1;
}

enum fill { FILLED, WOULD_BLOCK, AT_EOF };

static enum fill fill(int fd, struct buffer *b) {
	if (b->start == b->end) b->start = b->end = 0;
	reserve(b, chunk);
	for (;;) {
		ssize_t n = read(fd, b->data + b->end, chunk);
		if (n > 0) {
			b->end += n;
			return FILLED;
		}
		if (n == 0) return AT_EOF;
		if (errno == EAGAIN) return WOULD_BLOCK;
		if (errno != EINTR) fail_errno("read");
	}
}

/* flush_some writes what the kernel takes now. */
static void flush_some(int fd, struct buffer *b) {
	while (b->start < b->end) {
		ssize_t n = write(fd, b->data + b->start, b->end - b->start);
		if (n >= 0) {
			b->start += n;
			continue;
		}
		if (errno == EAGAIN) return;
		if (errno != EINTR) fail_errno("write");
	}
	b->start = b->end = 0;
}

static void flush_all(int fd, struct buffer *b) {
	for (;;) {
		flush_some(fd, b);
		if (b->start == b->end) return;
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		if (poll(&p, 1, -1) < 0 && errno != EINTR) fail_errno("poll");
	}
}

/* ---- waiting ---- */

static int new_epoll(int fd) {
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0) fail_errno("epoll_create1");
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) fail_errno("epoll_ctl add");
	return ep;
}

static int wait_events(int ep, struct epoll_event *events, int room) {
	for (;;) {
		int n = epoll_wait(ep, events, room, -1);
		if (n >= 0) return n;
		if (errno != EINTR) fail_errno("epoll_wait");
	}
}

/* fill_waiting reads once something is there; ep < 0 means a blocking fd. */
static enum fill fill_waiting(int ep, int fd, struct buffer *b) {
	for (;;) {
		struct epoll_event e;
		if (ep >= 0) wait_events(ep, &e, 1);
		enum fill got = fill(fd, b);
		if (got != WOULD_BLOCK) return got;
	}
}

static void set_nonblocking(int fd) {
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) fail_errno("fcntl O_NONBLOCK");
}

/* ---- the child ---- */

/*
 * serve answers every complete frame of a read in one write. The job table
 * stands for an asynchronous worker's bookkeeping: it is looked up, checked
 * and stored for each call.
 */
static void serve(int rfd, int wfd, int use_epoll) {
	struct buffer in = {0}, out = {0};
	uint32_t *jobs = allocate(JOBS * sizeof *jobs);
	int ep = use_epoll ? new_epoll(rfd) : -1;
	role = "child";
	while (fill_waiting(ep, rfd, &in) == FILLED) {
		struct frame f;
		while (take_frame(&in, &f)) {
			uint32_t *job = &jobs[f.id & (JOBS - 1)];
			if (f.id == 0 || *job == f.id) fail("call id %u came twice", f.id);
			*job = f.id;
			put_frame(&out, f.id, f.payload, f.length);
		}
		flush_all(wfd, &out);
	}
	if (in.start != in.end) fail("EOF inside a frame");
}

/* ---- the parent ---- */

struct call {
	uint32_t id; /* 0: free */
	uint32_t length;
	char *reply;
};

struct parent {
	int rfd, wfd, ep;
	pid_t child;
	struct buffer in, out;
	struct call *calls; /* indexed by id & mask */
	uint32_t mask, next_id;
	char *payload;
	uint32_t size;
};

static void start_child(struct parent *p, int nonblocking, int child_epoll) {
	int down[2], up[2];
	if (pipe2(down, O_CLOEXEC) < 0 || pipe2(up, O_CLOEXEC) < 0) fail_errno("pipe2");
	p->child = fork();
	if (p->child < 0) fail_errno("fork");
	if (p->child == 0) {
		close(down[1]);
		close(up[0]);
		if (child_epoll) {
			set_nonblocking(down[0]);
			set_nonblocking(up[1]);
		}
		serve(down[0], up[1], child_epoll);
		exit(0);
	}
	close(down[0]);
	close(up[1]);
	p->rfd = up[0];
	p->wfd = down[1];
	p->ep = -1;
	if (nonblocking) {
		set_nonblocking(p->rfd);
		set_nonblocking(p->wfd);
		p->ep = new_epoll(p->rfd);
	}
}

static void end_child(struct parent *p) {
	int status;
	close(p->wfd);
	while (waitpid(p->child, &status, 0) < 0)
		if (errno != EINTR) fail_errno("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status)) fail("the child ended with wait status %#x", status);
}

static void make_table(struct parent *p, uint32_t inflight, uint32_t size) {
	uint32_t slots = 1;
	while (slots < inflight * 2) slots *= 2;
	p->mask = slots - 1;
	p->next_id = 1;
	p->size = size;
	p->calls = allocate(slots * sizeof *p->calls);
	char *replies = allocate((size_t)slots * size + 1);
	for (uint32_t i = 0; i < slots; i++) p->calls[i].reply = replies + (size_t)i * size;
	p->payload = allocate(size + 1);
	for (uint32_t i = 0; i < size; i++) p->payload[i] = 'a' + i % 26;
}

static inline void start_call(struct parent *p) {
	struct call *c;
	uint32_t id;
	do {
		id = p->next_id++;
		c = &p->calls[id & p->mask];
	} while (id == 0 || c->id != 0);
	c->id = id;
	put_frame(&p->out, id, p->payload, p->size);
}

/* take_reply returns 0 when no complete reply has been read. */
static inline int take_reply(struct parent *p) {
	struct frame f;
	if (!take_frame(&p->in, &f)) return 0;
	struct call *c = &p->calls[f.id & p->mask];
	if (c->id == 0 || c->id != f.id) fail("a reply to unknown call %u", f.id);
	if (f.length != p->size) fail("a reply of %u bytes", f.length);
	memcpy(c->reply, f.payload, f.length);
	c->length = f.length;
	c->id = 0;
	return 1;
}

static void want_write(struct parent *p, int on) {
	struct epoll_event e = {.events = EPOLLOUT, .data.fd = p->wfd};
	if (epoll_ctl(p->ep, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->wfd, &e) < 0) fail_errno("epoll_ctl");
}

static void pump(struct parent *p, long calls, long inflight) {
	long started = 0, finished = 0;
	int writing = 0;
	while (started < calls && started < inflight) {
		start_call(p);
		started++;
	}
	flush_some(p->wfd, &p->out);
	while (finished < calls) {
		int stuck = p->out.start < p->out.end;
		if (stuck != writing) want_write(p, writing = stuck);
		struct epoll_event events[2];
		int n = wait_events(p->ep, events, 2);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != p->rfd) continue;
			if (fill(p->rfd, &p->in) == AT_EOF) fail("the child went away");
			while (take_reply(p)) {
				finished++;
				if (started < calls) {
					start_call(p);
					started++;
				}
			}
		}
		flush_some(p->wfd, &p->out);
	}
	if (writing) want_write(p, 0);
}

static void ping(struct parent *p, long calls) {
	for (long i = 0; i < calls; i++) {
		start_call(p);
		flush_all(p->wfd, &p->out);
		while (!take_reply(p))
			if (fill_waiting(p->ep, p->rfd, &p->in) == AT_EOF) fail("the child went away");
	}
}

static void check_replies(struct parent *p) {
	for (uint32_t i = 0; i <= p->mask; i++) {
		struct call *c = &p->calls[i];
		if (c->id) fail("call %u never ended", c->id);
		if (c->length && memcmp(c->reply, p->payload, c->length)) fail("a reply differs from its call");
	}
}

/* A tenth of the calls first: page faults, branch predictors, pipe buffers. */
static long warm_up(long calls) { return calls / 10 + 1; }

static void pipelined(long calls, long inflight, long size) {
	struct parent p = {0};
	make_table(&p, inflight, size);
	start_child(&p, 1, 0);
	pump(&p, warm_up(calls), inflight);
	double begin = seconds();
	pump(&p, calls, inflight);
	double took = seconds() - begin;
	end_child(&p);
	check_replies(&p);
	printf("%.0f calls/s\n", calls / took);
}

static void serial(long calls, long size, int use_epoll) {
	struct parent p = {0};
	make_table(&p, 1, size);
	start_child(&p, use_epoll, use_epoll);
	ping(&p, warm_up(calls));
	double begin = seconds();
	ping(&p, calls);
	double took = seconds() - begin;
	end_child(&p);
	check_replies(&p);
	printf("%.3f us\n", took / calls * 1e6);
}

static long number(const char *text, long min, long max) {
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < min || n > max) fail("bad number %s", text);
	return n;
}

int main(int argc, char **argv) {
	const char *mode = argc > 1 ? argv[1] : "";
	signal(SIGPIPE, SIG_IGN); /* so that a lost peer is a message and not a silent death */
	if (!strcmp(mode, "pipelined") && argc == 6) {
		chunk = number(argv[5], 1, MAX_FRAME);
		pipelined(number(argv[2], 1, 1L << 40), number(argv[3], 1, JOBS / 2), number(argv[4], 0, MAX_FRAME));
	} else if (!strcmp(mode, "serial") && argc == 5) {
		int use_epoll = !strcmp(argv[4], "epoll");
		if (!use_epoll && strcmp(argv[4], "blocking")) fail("unknown kind of waiting %s", argv[4]);
		serial(number(argv[2], 1, 1L << 40), number(argv[3], 0, MAX_FRAME), use_epoll);
	} else if (!strcmp(mode, "worker") && argc == 4) {
		serve(number(argv[2], 0, 1 << 20), number(argv[3], 0, 1 << 20), 0);
	} else {
		fail("usage: pipelined CALLS INFLIGHT SIZE READ | serial CALLS SIZE epoll|blocking | worker READFD WRITEFD");
	}
	return 0;
}
