//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package poller

import "github.com/evfork/evfork/internal/poller/kevent"

func openSystemKqueue() (Poller, error) { return openKqueueOf(kevent.Open) }
