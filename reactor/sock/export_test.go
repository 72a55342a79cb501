package sock

import "net/netip"

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

// Alternate orders addresses as a dial tries them.
func Alternate(addrs []netip.AddrPort) []netip.AddrPort { return alternate(addrs) }
