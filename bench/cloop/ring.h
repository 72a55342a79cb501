/*
 * The ring, after the idea of libevent's benchmark: a byte read from one socketpair
 * is written to the next, "active" bytes travel at once, and a run ends after
 * "writes" of them. It needs from the library:
 *
 *     static void watch(int index, int fd);  ring_read(index) is to be called when fd is readable
 *     static void poll_once(void);           one iteration that does not block
 */
static int ring_size, *ring_fds; /* a pair each: read from the first, written to the second */
static long ring_writes_left, ring_fired, ring_read_bytes;

static inline void ring_send(int index) {
	if (write(ring_fds[2 * index + 1], "x", 1) != 1) fail_errno("write");
	ring_fired++;
}

static inline void ring_read(int index) {
	char byte;
	if (read(ring_fds[2 * index], &byte, 1) != 1) fail_errno("read");
	ring_read_bytes++;
	if (ring_writes_left > 0) {
		ring_writes_left--;
		ring_send(index + 1 < ring_size ? index + 1 : 0);
	}
}

static void watch(int index, int fd);
static void poll_once(void);

/* ring_run returns seconds of CPU time per event, and of wall time. */
static struct lap ring_run(int active, long writes) {
	ring_fired = ring_read_bytes = 0;
	ring_writes_left = writes;
	for (int i = 0; i < active; i++) ring_send(i * (ring_size / active));
	struct lap begin = lap_now();
	while (ring_read_bytes < ring_fired) poll_once();
	return lap_since(begin, ring_read_bytes);
}

/* ring prints the median of the runs; the first two come on top and do not count. */
static void ring(int size, int active, long writes, int runs) {
	raise_file_limit();
	ring_size = size;
	ring_fds = allocate(2 * size * sizeof *ring_fds);
	for (int i = 0; i < size; i++) {
		open_pair(ring_fds + 2 * i);
		watch(i, ring_fds[2 * i]);
	}
	double *cpu_took = allocate(runs * sizeof *cpu_took), *wall_took = allocate(runs * sizeof *wall_took);
	for (int i = -2; i < runs; i++) {
		struct lap run = ring_run(active, writes);
		if (i < 0) continue;
		cpu_took[i] = run.cpu;
		wall_took[i] = run.wall;
	}
	lap_print((struct lap){median(cpu_took, runs), median(wall_took, runs)});
}
