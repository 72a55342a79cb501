/* libev 4.
 *
 *     libev ring SIZE ACTIVE WRITES RUNS
 *     libev timers start|stop|reset|fire-spread|fire-once COUNT
 *     libev idle WATCHERS CHILDREN
 *     libev memory watchers|timers COUNT
 */
#include "cloop.h"
#include "idle.h"
#include "memory.h"
#include "ring.h"
#include "timers.h"
#include <ev.h>

static struct ev_loop *loop;

static void poll_once(void) { ev_run(loop, EVRUN_NOWAIT); }

static void on_readable(struct ev_loop *l, ev_io *w, int events) {
	(void)l;
	(void)events;
	ring_read((int)(intptr_t)w->data);
}

static void watch(int index, int fd) {
	ev_io *w = allocate(sizeof *w);
	ev_io_init(w, on_readable, fd, EV_READ);
	w->data = (void *)(intptr_t)index;
	ev_io_start(loop, w);
}

static ev_timer *all;

static void on_timer(struct ev_loop *l, ev_timer *w, int events) {
	(void)l;
	(void)w;
	(void)events;
	timer_fired();
}

/* The array is touched, as memory that a program has at hand is. */
static void timers_open(long count) {
	all = malloc(count * sizeof *all);
	if (!all) fail("out of memory");
	memset(all, 1, count * sizeof *all);
	for (long i = 0; i < count; i++) ev_timer_init(&all[i], on_timer, 0, 0);
	ev_now_update(loop);
}

static inline void timer_start(long index, double delay) {
	ev_timer_set(&all[index], delay, 0);
	ev_timer_start(loop, &all[index]);
}

static inline void timer_stop(long index) { ev_timer_stop(loop, &all[index]); }

static inline void timer_reset(long index, double delay) {
	all[index].repeat = delay;
	ev_timer_again(loop, &all[index]);
}

static void make_watcher(int fd) { watch(0, fd); }

static void make_timer(int fd) {
	(void)fd;
	ev_timer *w = allocate(sizeof *w);
	ev_timer_init(w, on_timer, HOUR + random_fraction(), 0);
	ev_timer_start(loop, w);
}

static void on_child(struct ev_loop *l, ev_child *w, int events) {
	(void)l;
	(void)w;
	(void)events;
	fail("a child has ended");
}

static void on_input(struct ev_loop *l, ev_io *w, int events) {
	(void)w;
	(void)events;
	ev_break(l, EVBREAK_ALL);
}

static void idle_watch(int fd) { watch(0, fd); }

static void idle_watch_child(pid_t pid) {
	ev_child *w = allocate(sizeof *w);
	ev_child_init(w, on_child, pid, 0);
	ev_child_start(loop, w);
}

static void idle_run(void) {
	ev_io input;
	ev_io_init(&input, on_input, 0, EV_READ);
	ev_io_start(loop, &input);
	ev_run(loop, 0);
}

int main(int argc, char **argv) {
	loop = ev_default_loop(0); /* the one that can watch children */
	if (!loop) fail("ev_default_loop");
	const char *command = argc > 1 ? argv[1] : "";
	if (argc == 6 && !strcmp(command, "ring"))
		ring(number(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]));
	else if (argc == 4 && !strcmp(command, "timers"))
		timers(argv[2], number(argv[3]));
	else if (argc == 4 && !strcmp(command, "idle"))
		idle(number(argv[2]), number(argv[3]));
	else if (argc == 4 && !strcmp(argv[2], "watchers"))
		memory_of(number(argv[3]), prepare_descriptor, make_watcher);
	else if (argc == 4 && !strcmp(argv[2], "timers"))
		memory_of(number(argv[3]), prepare_nothing, make_timer);
	else
		fail("usage: see the source");
}
