package sock

import (
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// A Conn is a connection that nobody owns yet. It is lent to the callback of
// Listen or Dial, which decides what becomes of it: Stream makes a stream of it,
// Take takes its descriptor. If the callback returns without having done either,
// the connection is closed. A Conn must not be kept: after the callback it is
// closed, or another connection.
type Conn struct {
	state  *state
	fd     int
	remote inet
}

// FD returns the descriptor, which stays the Conn's; -1 if it has been taken or closed.
func (c *Conn) FD() int { return c.fd }

// Loop returns the loop that the connection was made on.
func (c *Conn) Loop() *reactor.Loop { return c.state.loop }

// Take returns the descriptor, non-blocking and close-on-exec, which is the
// caller's from now on: for Loop.NewStream at another time or on another loop.
// It returns -1 if it has been taken or closed already.
func (c *Conn) Take() int {
	fd := c.fd
	c.fd = -1
	return fd
}

// Stream makes a stream of the connection. If it returns an error the connection
// is still the Conn's; reactor.ErrClosed if it has been taken or closed.
//
// A stream made here rather than by Loop.NewStream tells the package when it is
// closed, so that a listener that has run out of descriptors accepts again at once.
func (c *Conn) Stream(config reactor.StreamConfig) (*reactor.Stream, error) {
	if c.fd < 0 {
		return nil, reactor.ErrClosed
	}
	config.OnClose = c.state.closing(config.OnClose)
	s, err := c.state.loop.NewStream(c.fd, c.fd, config)
	if err != nil {
		return nil, err
	}
	c.fd = -1
	return s, nil
}

// LocalAddr asks the kernel for this side's address.
func (c *Conn) LocalAddr() (Addr, error) { return LocalAddr(c.fd) }

// RemoteAddr returns the other side's address. For IP it needs no system call on
// Linux if the connection was accepted, and works if that side is gone already.
func (c *Conn) RemoteAddr() (Addr, error) {
	if c.remote.known {
		return Addr{AddrPort: c.remote.addrPort()}, nil
	}
	return RemoteAddr(c.fd)
}

// SetNoDelay is SetNoDelay of the connection.
func (c *Conn) SetNoDelay(on bool) error { return SetNoDelay(c.fd, on) }

// SetKeepAlive is SetKeepAlive of the connection.
func (c *Conn) SetKeepAlive(k KeepAlive) error { return SetKeepAlive(c.fd, k) }

// CloseWrite ends our writing: the other side reads EOF. To do so after bytes
// have been written is Stream.CloseWrite's job.
func (c *Conn) CloseWrite() error { return c.shutdown(unix.SHUT_WR) }

// CloseRead ends our reading. What the other side does about it depends on the
// kind of socket: over TCP it does not notice until it sends.
func (c *Conn) CloseRead() error { return c.shutdown(unix.SHUT_RD) }

func (c *Conn) shutdown(how int) error {
	if err := unix.Shutdown(c.fd, how); err != nil {
		return &Error{Op: "shutdown", Err: err}
	}
	return nil
}

// Reset closes the connection so that the other side gets an error instead of
// an EOF; see the function Reset.
func (c *Conn) Reset() error {
	if c.fd < 0 {
		return nil
	}
	err := setReset(c.fd)
	c.Close()
	if err != nil {
		return &Error{Op: "reset", Err: err}
	}
	return nil
}

// Close closes the connection. A second Close, or one after Take or Stream, does
// nothing.
func (c *Conn) Close() {
	if c.fd < 0 {
		return
	}
	unix.Close(c.fd)
	c.fd = -1
	c.state.freed()
}
