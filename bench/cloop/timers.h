/*
 * Timers, many. It needs from the library:
 *
 *     static void timers_open(long count);                allocates them, stopped
 *     static void timer_start(long index, double delay);  timer_fired() is to be called
 *     static void timer_stop(long index);
 *     static void timer_reset(long index, double delay);  of an active one
 *     static void poll_once(void);
 */
static long timers_fired;

static inline void timer_fired(void) { timers_fired++; }

enum { HOUR = 3600 };

static void timers_open(long count);
static void timer_start(long index, double delay);
static void timer_stop(long index);
static void timer_reset(long index, double delay);
static void poll_once(void);

/* timers_far starts them an hour from now, at random within a second. */
static void timers_far(long count) {
	for (long i = 0; i < count; i++) timer_start(i, HOUR + random_fraction());
}

static void timers_start(long count) {
	timers_open(count);
	struct lap begin = lap_now();
	timers_far(count);
	lap_print(lap_since(begin, count));
}

static void timers_stop(long count) {
	timers_open(count);
	timers_far(count);
	struct lap begin = lap_now();
	for (long i = 0; i < count; i++) timer_stop(i);
	lap_print(lap_since(begin, count));
}

static void timers_reset(long count) {
	timers_open(count);
	timers_far(count);
	struct lap begin = lap_now();
	for (long i = 0; i < count; i++) timer_reset((long)(random_fraction() * count), HOUR + random_fraction());
	lap_print(lap_since(begin, count));
}

/* timers_fire lets all of them become due before the loop may look. */
static void timers_fire(long count, double earliest, double spread) {
	timers_open(count);
	for (long i = 0; i < count; i++) timer_start(i, earliest + spread * random_fraction());
	sleep_until(wall() + earliest + spread + 0.01);
	struct lap begin = lap_now();
	while (timers_fired < count) poll_once();
	lap_print(lap_since(begin, count));
}

static void timers(const char *what, long count) {
	if (!strcmp(what, "start")) timers_start(count);
	else if (!strcmp(what, "stop")) timers_stop(count);
	else if (!strcmp(what, "reset")) timers_reset(count);
	else if (!strcmp(what, "fire-spread")) timers_fire(count, 0, 1);
	else if (!strcmp(what, "fire-once")) timers_fire(count, 0.2, 0);
	else fail("timers %s?", what);
}
