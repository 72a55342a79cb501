package poller_test

import "github.com/evfork/evfork/internal/poller"

// more are the constructors of this platform besides Open.
func more() []constructor {
	return []constructor{{"epoll without pwait2", poller.OpenMillis}}
}
