package sock

import (
	"errors"
	"strings"
)

// Errors of misuse and of ending, all wrapped in an *Error. Those of the
// operating system are in there too, as syscall.Errno. What has ended, or is on
// a loop that has, says reactor.ErrClosed; what no argument may be,
// reactor.ErrInvalid; a full queue, reactor.ErrBufferFull.
var (
	// ErrTimeout: DialConfig.Timeout has passed.
	ErrTimeout = errors.New("sock: dial timed out")
	// ErrTruncated: a datagram was longer than PacketConfig.MaxPacket. The rest
	// of it is lost, and its beginning was not delivered.
	ErrTruncated = errors.New("sock: datagram is longer than MaxPacket")
	// ErrMaxPacket: PacketConfig.MaxPacket is more than any datagram has. It is the size of a buffer.
	ErrMaxPacket = errors.New("sock: MaxPacket is above 64 MiB")
	// ErrNoDescriptor: a connection or listener does not give access to a
	// descriptor of its own. A *tls.Conn, for instance: its bytes are not the
	// socket's.
	ErrNoDescriptor = errors.New("sock: has no descriptor of its own")
	// ErrUnwritten: a stream cannot be detached while bytes are queued in it.
	ErrUnwritten = errors.New("sock: stream has bytes that are not written yet")
	// ErrHostName: an address has a name, of a host or a port, where only
	// numbers are taken; see Resolve.
	ErrHostName = errors.New("sock: host or port is a name, not a number")
)

// Error is what went wrong with an address. Unwrap gives the cause, often a
// syscall.Errno.
type Error struct {
	Op      string // "listen", "accept", "dial", "connect", "resolve", "send", "receive", "adopt", "detach", …
	Network string // "tcp", "unix", …
	Address string // as it was given, or the one that was tried; may be empty
	Err     error
}

// Error is like "sock: listen tcp 127.0.0.1:80: permission denied".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sock: " + e.Op)
	for _, part := range []string{e.Network, e.Address} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	b.WriteString(": " + strings.TrimPrefix(e.Err.Error(), "sock: "))
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failures are the reasons of all the addresses that a dial has tried, in one line.
type failures []error

// Error implements error.
func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = strings.TrimPrefix(err.Error(), "sock: ")
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets errors.Is and errors.As look at each of them.
func (f failures) Unwrap() []error { return f }
