/*
 * An echo server by libuv's streams, as its guide has it, with one buffer for all reads and writes tried at once.
 *
 *     tcp_libuv PORT
 */
#include "cloop.h"
#include <uv.h>

static uv_loop_t *loop;
static char buffer[64 << 10];

/* What uv_try_write has not taken. */
struct rest {
	uv_write_t request;
	uv_buf_t left;
};

static void check(int status, const char *what) {
	if (status < 0) fail("%s: %s", what, uv_strerror(status));
}

static void on_close(uv_handle_t *handle) { free(handle); }

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
	(void)handle, (void)suggested;
	*out = uv_buf_init(buffer, sizeof buffer);
}

static void on_written(uv_write_t *request, int status) {
	struct rest *rest = (struct rest *)request;
	(void)status; /* the read will tell */
	free(rest->left.base);
	free(rest);
}

static void write_rest(uv_stream_t *stream, const char *bytes, size_t n) {
	struct rest *rest = allocate(sizeof *rest);
	rest->left = uv_buf_init(allocate(n), n);
	memcpy(rest->left.base, bytes, n);
	check(uv_write(&rest->request, stream, &rest->left, 1, on_written), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *read) {
	if (n < 0) uv_close((uv_handle_t *)stream, on_close);
	if (n <= 0) return;
	uv_buf_t out = uv_buf_init(read->base, n);
	int taken = uv_try_write(stream, &out, 1);
	if (taken == UV_EAGAIN) taken = 0;
	check(taken, "uv_try_write");
	if (taken < n) write_rest(stream, read->base + taken, n - taken);
}

static void on_connection(uv_stream_t *listener, int status) {
	check(status, "uv_listen");
	uv_tcp_t *connection = allocate(sizeof *connection);
	check(uv_tcp_init(loop, connection), "uv_tcp_init");
	check(uv_accept(listener, (uv_stream_t *)connection), "uv_accept");
	check(uv_tcp_nodelay(connection, 1), "uv_tcp_nodelay");
	check(uv_read_start((uv_stream_t *)connection, give_buffer, on_read), "uv_read_start");
}

int main(int argc, char **argv) {
	if (argc != 2) fail("usage: tcp_libuv PORT");
	struct sockaddr_in address;
	uv_tcp_t listener;
	loop = uv_default_loop();
	check(uv_ip4_addr("127.0.0.1", number(argv[1]), &address), "uv_ip4_addr");
	check(uv_tcp_init(loop, &listener), "uv_tcp_init");
	check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "uv_tcp_bind");
	check(uv_listen((uv_stream_t *)&listener, 1024, on_connection), "uv_listen");
	return uv_run(loop, UV_RUN_DEFAULT);
}
