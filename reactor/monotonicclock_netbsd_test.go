package reactor_test

// clockMonotonic is CLOCK_MONOTONIC, which x/sys does not have for NetBSD (sys/time.h).
const clockMonotonic = 3
