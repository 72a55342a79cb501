//go:build !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package poller

const best = "poll"
