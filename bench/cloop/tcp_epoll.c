/*
 * An echo server with nothing but epoll: the limit of one loop.
 *
 *     tcp_epoll PORT
 */
#include "cloop.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

static unsigned char buffer[64 << 10];

static int listen_on(int port) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) fail_errno("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) fail_errno("SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail_errno("bind");
	if (listen(fd, 1024) < 0) fail_errno("listen");
	return fd;
}

static void watch(int poller, int fd) {
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail_errno("epoll_ctl");
}

/* echo writes at once; the client's bytes on their way always fit. */
static void echo(int fd) {
	ssize_t n = read(fd, buffer, sizeof buffer);
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) {
		close(fd);
		return;
	}
	if (write(fd, buffer, n) != n) fail_errno("write");
}

int main(int argc, char **argv) {
	if (argc != 2) fail("usage: tcp_epoll PORT");
	int listener = listen_on(number(argv[1])), poller = epoll_create1(EPOLL_CLOEXEC), on = 1;
	if (poller < 0) fail_errno("epoll_create1");
	watch(poller, listener);
	for (;;) {
		struct epoll_event events[128];
		int n = epoll_wait(poller, events, 128, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				echo(events[i].data.fd);
				continue;
			}
			int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd < 0) continue;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			watch(poller, fd);
		}
	}
}
