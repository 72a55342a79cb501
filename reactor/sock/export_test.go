package sock

import (
	"net/netip"
	"time"
)

// SetAccept makes the listener accept by fn, which may call accept, the real one.
func (l *Listener) SetAccept(fn func(accept func() (int, error)) (int, error)) {
	l.accept = func(listener int) (int, inet, error) {
		var remote inet
		fd, err := fn(func() (fd int, err error) {
			fd, remote, err = accept4(listener)
			return fd, err
		})
		return fd, remote, err
	}
}

// NextWait is how long the listener's next pause will be.
func (l *Listener) NextWait() time.Duration { return l.backoff.wait }

// Alternate orders addresses as a dial tries them.
func Alternate(addrs []netip.AddrPort) []netip.AddrPort { return alternate(addrs) }
