/*
 * Posts from threads to the loop. A post is a function and its argument in a queue
 * under a mutex, and the library's wake-up; "coalesced" leaves the queue out, so that
 * many wake-ups may be one callback. It needs from the library:
 *
 *     static void wake(void);              post_arrived() is to be called on the loop
 *     static void post_until_done(int busy);  runs the loop until post_done(); busy: without ever blocking
 */
struct post {
	void (*fn)(void *);
	void *argument;
};

static struct {
	pthread_mutex_t lock;
	struct post *posts;
	long length, capacity;
} post_queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct post *post_batch;
static long post_batch_capacity, posts_ran, posts_wanted;
static int post_coalesced, post_senders_left;

static void wake(void);
static void post_until_done(int busy);

static void count_post(void *argument) { ++*(long *)argument; }

static void post(void (*fn)(void *), void *argument) {
	pthread_mutex_lock(&post_queue.lock);
	if (post_queue.length == post_queue.capacity) {
		post_queue.capacity = post_queue.capacity ? 2 * post_queue.capacity : 1024;
		post_queue.posts = realloc(post_queue.posts, post_queue.capacity * sizeof *post_queue.posts);
		if (!post_queue.posts) fail("out of memory");
	}
	post_queue.posts[post_queue.length++] = (struct post){fn, argument};
	pthread_mutex_unlock(&post_queue.lock);
	wake();
}

static int post_done(void) {
	if (post_coalesced) return __atomic_load_n(&post_senders_left, __ATOMIC_ACQUIRE) == 0;
	return posts_ran == posts_wanted;
}

static void post_arrived(void) {
	pthread_mutex_lock(&post_queue.lock);
	struct post *posts = post_queue.posts;
	long length = post_queue.length, capacity = post_queue.capacity;
	post_queue.posts = post_batch;
	post_queue.capacity = post_batch_capacity;
	post_queue.length = 0;
	pthread_mutex_unlock(&post_queue.lock);
	post_batch = posts;
	post_batch_capacity = capacity;
	for (long i = 0; i < length; i++) posts[i].fn(posts[i].argument);
}

static void *post_sender(void *count) {
	for (long i = (long)count; i > 0; i--) {
		if (post_coalesced) wake();
		else post(count_post, &posts_ran);
	}
	__atomic_sub_fetch(&post_senders_left, 1, __ATOMIC_RELEASE);
	wake(); /* the loop is to see that this was the last */
	return NULL;
}

static void post_round(int threads, long count, int busy) {
	pthread_t sender[threads];
	post_senders_left = threads;
	posts_wanted += count / threads * threads;
	for (int i = 0; i < threads; i++) {
		int error = pthread_create(&sender[i], NULL, post_sender, (void *)(count / threads));
		if (error) fail("pthread_create: %s", strerror(error));
	}
	post_until_done(busy);
	for (int i = 0; i < threads; i++) pthread_join(sender[i], NULL);
}

static void posts(int threads, long count, int busy, int coalesced) {
	post_coalesced = coalesced;
	post_round(threads, count / 10 + threads, busy);
	double begin = wall();
	post_round(threads, count, busy);
	printf("{\"value\": %g}\n", count / threads * threads / (wall() - begin));
}

/* One post at a time, to a loop that sleeps; the next when the last has run. */
static sem_t post_answered;
static long post_rounds;

static void answer(void *last) {
	if (last) posts_ran = posts_wanted;
	sem_post(&post_answered);
}

static void *post_one_by_one(void *unused) {
	(void)unused;
	for (long i = post_rounds; i > 0; i--) {
		post(answer, i == 1 ? "last" : NULL);
		while (sem_wait(&post_answered) < 0) {}
	}
	return NULL;
}

static void posts_sleeping_round(long count) {
	pthread_t sender;
	post_rounds = count;
	posts_ran = 0;
	posts_wanted = 1;
	int error = pthread_create(&sender, NULL, post_one_by_one, NULL);
	if (error) fail("pthread_create: %s", strerror(error));
	post_until_done(0);
	pthread_join(sender, NULL);
}

static void posts_sleeping(long count) {
	sem_init(&post_answered, 0, 0);
	posts_sleeping_round(count / 10 + 1);
	double begin = wall();
	posts_sleeping_round(count);
	printf("{\"value\": %g}\n", (wall() - begin) * 1e6 / count);
}
