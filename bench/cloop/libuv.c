/* libuv 1.
 *
 *     libuv ring SIZE ACTIVE WRITES RUNS
 *     libuv timers start|stop|reset|fire-spread|fire-once COUNT
 *     libuv post THREADS COUNT busy|free queued|coalesced
 *     libuv post sleeping COUNT
 *     libuv memory watchers|timers|streams COUNT
 */
#include "cloop.h"
#include "memory.h"
#include "post.h"
#include "ring.h"
#include "timers.h"
#include <math.h>
#include <uv.h>

static uv_loop_t *loop;

static void check(int status, const char *what) {
	if (status < 0) fail("%s: %s", what, uv_strerror(status));
}

static void poll_once(void) { uv_run(loop, UV_RUN_NOWAIT); }

static void on_readable(uv_poll_t *handle, int status, int events) {
	(void)events;
	check(status, "uv_poll");
	ring_read((int)(intptr_t)handle->data);
}

static void watch(int index, int fd) {
	uv_poll_t *handle = allocate(sizeof *handle);
	handle->data = (void *)(intptr_t)index;
	check(uv_poll_init(loop, handle, fd), "uv_poll_init");
	check(uv_poll_start(handle, UV_READABLE, on_readable), "uv_poll_start");
}

static uv_timer_t *all;

static void on_timer(uv_timer_t *handle) {
	(void)handle;
	timer_fired();
}

static void timers_open(long count) {
	all = malloc(count * sizeof *all);
	if (!all) fail("out of memory");
	memset(all, 1, count * sizeof *all);
	for (long i = 0; i < count; i++) check(uv_timer_init(loop, &all[i]), "uv_timer_init");
	uv_update_time(loop);
}

/* libuv counts in milliseconds. */
static inline void timer_start(long index, double delay) {
	check(uv_timer_start(&all[index], on_timer, (uint64_t)ceil(delay * 1000), 0), "uv_timer_start");
}

static inline void timer_stop(long index) { uv_timer_stop(&all[index]); }
static inline void timer_reset(long index, double delay) { timer_start(index, delay); }

static uv_async_t async;
static uv_idle_t keep_awake;

static void on_async(uv_async_t *handle) {
	(void)handle;
	post_arrived();
	if (post_done()) uv_stop(loop);
}

static void on_idle(uv_idle_t *handle) { (void)handle; }

static void wake(void) { uv_async_send(&async); }

static void post_until_done(int busy) {
	if (busy) check(uv_idle_start(&keep_awake, on_idle), "uv_idle_start");
	while (!post_done()) uv_run(loop, UV_RUN_DEFAULT);
	uv_idle_stop(&keep_awake);
}

static void post_command(int argc, char **argv) {
	check(uv_async_init(loop, &async, on_async), "uv_async_init");
	check(uv_idle_init(loop, &keep_awake), "uv_idle_init");
	if (argc == 4)
		posts_sleeping(number(argv[3]));
	else
		posts(number(argv[2]), number(argv[3]), !strcmp(argv[4], "busy"), !strcmp(argv[5], "coalesced"));
}

static void make_watcher(int fd) { watch(0, fd); }

static void make_timer(int fd) {
	(void)fd;
	uv_timer_t *handle = allocate(sizeof *handle);
	check(uv_timer_init(loop, handle), "uv_timer_init");
	check(uv_timer_start(handle, on_timer, (uint64_t)(HOUR * 1000 + random_fraction() * 1000), 0), "uv_timer_start");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
	(void)handle;
	(void)suggested;
	*buffer = uv_buf_init(NULL, 0);
}

static void on_data(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
	(void)stream;
	(void)n;
	(void)buffer;
}

static void make_stream(int fd) {
	uv_pipe_t *handle = allocate(sizeof *handle);
	check(uv_pipe_init(loop, handle, 0), "uv_pipe_init");
	check(uv_pipe_open(handle, fd), "uv_pipe_open");
	check(uv_read_start((uv_stream_t *)handle, on_alloc, on_data), "uv_read_start");
}

static void memory_command(const char *what, long count) {
	if (!strcmp(what, "watchers")) memory_of(count, prepare_descriptor, make_watcher);
	else if (!strcmp(what, "timers")) memory_of(count, prepare_nothing, make_timer);
	else if (!strcmp(what, "streams")) memory_of(count, prepare_pair, make_stream);
	else fail("memory %s?", what);
}

int main(int argc, char **argv) {
	loop = uv_default_loop();
	const char *command = argc > 1 ? argv[1] : "";
	if (argc == 6 && !strcmp(command, "ring"))
		ring(number(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]));
	else if (argc == 4 && !strcmp(command, "timers"))
		timers(argv[2], number(argv[3]));
	else if ((argc == 4 || argc == 6) && !strcmp(command, "post"))
		post_command(argc, argv);
	else if (argc == 4 && !strcmp(command, "memory"))
		memory_command(argv[2], number(argv[3]));
	else
		fail("usage: see the source");
}
