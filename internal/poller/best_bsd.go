//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package poller

const best = "kqueue"
