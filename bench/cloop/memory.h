/*
 * Bytes that malloc has handed out, and resident bytes, per object.
 */
static double resident_bytes(void) {
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	if (!file) fail_errno("smaps_rollup");
	char line[256];
	double kilobytes = -1;
	while (fgets(line, sizeof line, file)) sscanf(line, "Rss: %lf", &kilobytes);
	fclose(file);
	if (kilobytes < 0) fail("smaps_rollup has no Rss");
	return kilobytes * 1024;
}

static double malloc_bytes(void) {
	struct mallinfo2 m = mallinfo2();
	return (double)m.uordblks + (double)m.hblkhd;
}

/* memory_of makes that many objects; make is called with what prepare returned. */
static void memory_of(long count, int (*prepare)(void), void (*make)(int)) {
	raise_file_limit();
	int *fds = allocate(count * sizeof *fds);
	for (long i = 0; i < count; i++) fds[i] = prepare();
	double allocated = malloc_bytes(), resident = resident_bytes();
	for (long i = 0; i < count; i++) make(fds[i]);
	allocated = malloc_bytes() - allocated;
	resident = resident_bytes() - resident;
	printf("{\"value\": %g, \"extra\": {\"resident B\": %g}}\n", allocated / count, resident / count);
}

static inline int prepare_nothing(void) { return -1; }

static inline int prepare_descriptor(void) {
	static int pair[2];
	if (!pair[0]) open_pair(pair);
	int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) fail_errno("dup");
	return fd;
}

static inline int prepare_pair(void) {
	int pair[2];
	open_pair(pair);
	return pair[0];
}
