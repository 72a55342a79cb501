/*
 * The client of the scenarios over TCP: one thread, epoll, the same for every server.
 *
 *     tcp_client PORT CONNECTIONS SIZE DEPTH MESSAGES
 *
 * Each connection has DEPTH messages of SIZE bytes on their way, and for each byte that comes back sends another one, until
 * MESSAGES have been echoed by all of them together. The bytes count up, and those that come back are looked at: all of
 * them, for the comparison takes a few nanoseconds a message. It prints messages per second.
 */
#include "cloop.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#define PERIOD 251
#define LARGEST (64 << 10)

struct connection {
	int fd;
	unsigned sent, got; /* bytes, modulo PERIOD */
};

static unsigned char pattern[LARGEST + PERIOD], buffer[LARGEST];
static struct connection *connections;
static int count, poller;
static long to_send, to_get; /* bytes, of all connections */

static int dial(int port) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) fail_errno("socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail_errno("connect");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) fail_errno("TCP_NODELAY");
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) fail_errno("O_NONBLOCK");
	return fd;
}

static void open_all(int port) {
	connections = allocate(count * sizeof *connections);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0) fail_errno("epoll_create1");
	for (int i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
		connections[i].fd = dial(port);
		if (epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event) < 0) fail_errno("epoll_ctl");
	}
}

/* send_next sends as many bytes, if so many are left to be sent. What is on its way fits into the kernel's buffers. */
static void send_next(struct connection *c, long bytes) {
	if (bytes > to_send) bytes = to_send;
	if (!bytes) return;
	ssize_t n = write(c->fd, pattern + c->sent, bytes);
	if (n < 0) fail_errno("write");
	if (n < bytes) fail("%zd of %ld bytes were written", n, bytes);
	c->sent = (c->sent + n) % PERIOD;
	to_send -= n;
}

static void receive(struct connection *c) {
	ssize_t n = read(c->fd, buffer, sizeof buffer);
	if (n < 0 && errno == EAGAIN) return;
	if (n < 0) fail_errno("read");
	if (!n) fail("the server has closed a connection");
	if (memcmp(buffer, pattern + c->got, n)) fail("an echo differs from what was sent");
	c->got = (c->got + n) % PERIOD;
	to_get -= n;
	send_next(c, n);
}

static void echo(long messages, long size, long depth) {
	struct epoll_event events[128];
	to_send = to_get = messages * size;
	for (int i = 0; i < count; i++) send_next(&connections[i], depth * size);
	while (to_get > 0) {
		int n = epoll_wait(poller, events, 128, 10000);
		if (n < 0 && errno != EINTR) fail_errno("epoll_wait");
		if (!n) fail("no echo for ten seconds: %ld bytes are missing", to_get);
		for (int i = 0; i < n; i++) receive(events[i].data.ptr);
	}
}

int main(int argc, char **argv) {
	if (argc != 6) fail("usage: tcp_client PORT CONNECTIONS SIZE DEPTH MESSAGES");
	int port = number(argv[1]);
	count = number(argv[2]);
	long size = number(argv[3]), depth = number(argv[4]), messages = number(argv[5]);
	if (size * depth > LARGEST) fail("a connection has at most %d bytes on their way", LARGEST);
	for (int i = 0; i < (int)sizeof pattern; i++) pattern[i] = i % PERIOD;
	open_all(port);
	echo(messages / 10 + 1, size, depth);
	double begin = wall();
	echo(messages, size, depth);
	printf("%g\n", messages / (wall() - begin));
	return 0;
}
