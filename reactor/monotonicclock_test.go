//go:build !netbsd

package reactor_test

import "golang.org/x/sys/unix"

const clockMonotonic = unix.CLOCK_MONOTONIC
