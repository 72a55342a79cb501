package sock

import (
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// What Go's net has used since 1.23.
const (
	defaultIdle     = 15 * time.Second
	defaultInterval = 15 * time.Second
	defaultCount    = 9
)

// KeepAlive says how TCP notices a peer that has vanished without a word, while
// nothing is sent. The zero value is what Go's net does: on, with 15 seconds,
// 15 seconds and 9 probes.
type KeepAlive struct {
	// Off turns it off; the rest is ignored then.
	Off bool
	// Idle is how long a connection is silent before the first probe, rounded up
	// to seconds. 0: 15 s. OpenBSD has one setting for the system instead of
	// this and the next two.
	Idle time.Duration
	// Interval is the time between probes, rounded up to seconds. 0: 15 s.
	Interval time.Duration
	// Count is how many probes go unanswered before the connection is reset. 0: 9.
	Count int
}

// SetKeepAlive changes the TCP socket fd, which may be a stream's.
func SetKeepAlive(fd int, k KeepAlive) error {
	if err := setKeepAlive(fd, k); err != nil {
		return &Error{Op: "set keep-alive", Err: err}
	}
	return nil
}

func setKeepAlive(fd int, k KeepAlive) error {
	if k.Idle < 0 || k.Interval < 0 || k.Count < 0 {
		return reactor.ErrInvalid
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, boolInt(!k.Off)); err != nil || k.Off {
		return err
	}
	if k.Idle == 0 {
		k.Idle = defaultIdle
	}
	if k.Interval == 0 {
		k.Interval = defaultInterval
	}
	if k.Count == 0 {
		k.Count = defaultCount
	}
	return setProbes(fd, seconds(k.Idle), seconds(k.Interval), optionValue(int64(k.Count)))
}

func seconds(d time.Duration) int { return optionValue(int64((d-1)/time.Second) + 1) }

// optionValue is what the kernel takes, which judges whether it is too much: of a larger
// number it would be given the lower half.
func optionValue(n int64) int { return int(min(n, math.MaxInt32)) }

// SetNoDelay changes whether the TCP socket fd, which may be a stream's, sends
// small segments at once (true, what Listen and Dial set) or waits, while
// earlier ones are not acknowledged, for more to send with them (Nagle's algorithm).
func SetNoDelay(fd int, on bool) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, boolInt(on)); err != nil {
		return &Error{Op: "set no-delay", Err: err}
	}
	return nil
}

// Reset closes the stream of a TCP connection so that the other side gets an
// error (ECONNRESET) instead of an EOF, and that no state of the connection is
// kept (no TIME_WAIT). Bytes in flight either way are lost. OnClose follows
// as after Stream.Close. On a Unix socket it does what Stream.Close does. The error
// is the kernel's if the stream is not a socket's; it is closed all the same.
func Reset(s *reactor.Stream) error {
	if s.Closed() {
		return nil
	}
	err := setReset(streamFD(s))
	s.Close()
	if err != nil {
		return &Error{Op: "reset", Err: err}
	}
	return nil
}

// setReset makes close send an RST.
func setReset(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
}

// streamFD is the descriptor of a socket's stream, of which one side may have ended.
func streamFD(s *reactor.Stream) int {
	r, w := s.FDs()
	return max(r, w)
}

// setTCP sets what both listening and dialled sockets get.
func setTCP(fd int, delay bool, k KeepAlive) error {
	if !delay {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
	}
	return setKeepAlive(fd, k)
}
