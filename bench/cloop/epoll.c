/* Raw epoll, and nothing between it and the callbacks.
 *
 *     epoll ring SIZE ACTIVE WRITES RUNS
 */
#include "cloop.h"
#include "ring.h"
#include <sys/epoll.h>

enum { EVENTS = 4096 };

static int epoll_fd;
static struct epoll_event ready[EVENTS];

static void watch(int index, int fd) {
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail_errno("epoll_ctl");
}

static void poll_once(void) {
	int n = epoll_wait(epoll_fd, ready, EVENTS, 0);
	if (n < 0) fail_errno("epoll_wait");
	for (int i = 0; i < n; i++) ring_read(ready[i].data.u32);
}

int main(int argc, char **argv) {
	if (argc != 6 || strcmp(argv[1], "ring")) fail("usage: see the source");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0) fail_errno("epoll_create1");
	ring(number(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]));
}
