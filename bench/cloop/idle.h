/*
 * An idle loop, to be looked at from outside. It says "ready", and ends when its
 * standard input does. It needs from the library:
 *
 *     static void idle_watch(int fd);         a watcher for reading that is never called
 *     static void idle_watch_child(pid_t pid);
 *     static void idle_run(void);             until standard input is readable
 */
static void idle_watch(int fd);
static void idle_watch_child(pid_t pid);
static void idle_run(void);

/* start_idle_child starts a child that waits for the end of a pipe, which comes with this process's own. */
static pid_t start_idle_child(int lifeline[2]) {
	pid_t pid = fork();
	if (pid < 0) fail_errno("fork");
	if (pid == 0) {
		char byte;
		close(lifeline[1]);
		while (read(lifeline[0], &byte, 1) < 0 && errno == EINTR) {}
		_exit(0);
	}
	return pid;
}

static void idle(int watchers, int children) {
	raise_file_limit();
	pid_t *pids = allocate(children * sizeof *pids);
	int lifeline[2];
	if (pipe2(lifeline, O_CLOEXEC) < 0) fail_errno("pipe2");
	for (int i = 0; i < children; i++) {
		pids[i] = start_idle_child(lifeline);
		idle_watch_child(pids[i]);
	}
	for (int i = 0; i < watchers; i++) {
		int pair[2];
		open_pair(pair);
		idle_watch(pair[0]);
	}
	puts("ready");
	fflush(stdout);
	idle_run();
	for (int i = 0; i < children; i++) kill(pids[i], SIGKILL);
}
