/* libevent 2.
 *
 *     libevent ring SIZE ACTIVE WRITES RUNS
 *     libevent memory watchers|streams COUNT
 */
#include "cloop.h"
#include "memory.h"
#include "ring.h"
#include <event2/bufferevent.h>
#include <event2/event.h>

static struct event_base *base;

static void on_readable(evutil_socket_t fd, short what, void *index) {
	(void)fd;
	(void)what;
	ring_read((int)(intptr_t)index);
}

static void watch(int index, int fd) {
	struct event *e = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, (void *)(intptr_t)index);
	if (!e || event_add(e, NULL) < 0) fail("event_add");
}

static void poll_once(void) {
	if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) fail("event_base_loop");
}

static void make_watcher(int fd) { watch(0, fd); }

static void on_data(struct bufferevent *b, void *context) {
	(void)b;
	(void)context;
}

static void make_stream(int fd) {
	struct bufferevent *b = bufferevent_socket_new(base, fd, 0);
	if (!b) fail("bufferevent_socket_new");
	bufferevent_setcb(b, on_data, NULL, NULL, NULL);
	if (bufferevent_enable(b, EV_READ | EV_WRITE) < 0) fail("bufferevent_enable");
}

int main(int argc, char **argv) {
	base = event_base_new();
	if (!base) fail("event_base_new");
	if (argc == 6 && !strcmp(argv[1], "ring"))
		ring(number(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]));
	else if (argc == 4 && !strcmp(argv[2], "watchers"))
		memory_of(number(argv[3]), prepare_descriptor, make_watcher);
	else if (argc == 4 && !strcmp(argv[2], "streams"))
		memory_of(number(argv[3]), prepare_pair, make_stream);
	else
		fail("usage: see the source");
}
