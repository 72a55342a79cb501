package sock

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// acceptsPerEvent bounds what a storm of connections takes before others have
// their turn: level-triggered, the rest is reported again.
const acceptsPerEvent = 64

// onReadable accepts what there is. No error ends the listener, none is retried
// without bound, and after none does it spin.
func (l *Listener) onReadable(reactor.Ready) {
	failed := 0
	for range acceptsPerEvent {
		if !l.accepting() {
			return
		}
		fd, remote, err := l.accept(l.fd)
		switch {
		case err == nil:
			l.deliver(fd, remote)
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		case exhausted(err) && l.config.Shed:
			if !l.shed(err) {
				return
			}
		case exhausted(err):
			l.backOff(err)
		case lostConnection(err):
			failed++
			l.report(err)
		default:
			l.backOff(err) // the socket is not what it was: try again, but seldom
		}
	}
	if failed == acceptsPerEvent && l.accepting() {
		// What is meant for single connections meets them all: do not spin.
		l.backOff(nil)
	}
}

// accepting reports whether neither a callback nor an error has ended the turn.
func (l *Listener) accepting() bool { return l.fd >= 0 && !l.suspended && !l.backoff.active() }

// exhausted reports whether accept failed for want of descriptors or memory: the
// connection is still there, and will be at the next attempt.
func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) ||
		errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// lostConnection reports whether an error is about the one connection that would
// have been next: it was aborted, or Linux passes on a network error that is
// pending on it, or a firewall forbids it; accept(2) says to go on with the next.
func lostConnection(err error) bool {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case unix.ECONNABORTED, unix.ECONNRESET, unix.EPROTO, unix.EPERM, unix.ENETDOWN, unix.ENETUNREACH, unix.ENETRESET,
		unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ETIMEDOUT:
		return true
	}
	return lostHere(errno)
}

// deliver lends a connection to the callback. The deferred Close is for one that
// was not taken, also when the callback panics.
func (l *Listener) deliver(fd int, remote inet) {
	l.stats.Accepted++
	l.backoff.reset()
	if !inheritsOptions && l.network.tcp() {
		// It fails only when the other side is gone already, which reading will tell.
		_ = setTCP(fd, l.config.Delay, l.config.KeepAlive)
	}
	c := &l.conn
	c.fd, c.remote = fd, remote
	defer c.Close()
	l.onAccept(c)
}

// report counts an error and tells OnError, not too often.
func (l *Listener) report(err error) {
	l.stats.Errors++
	if l.config.OnError != nil && l.errors.allow(err, l.state.loop.Now()) {
		l.config.OnError(&Error{Op: "accept", Network: l.network.name, Address: l.name, Err: err})
	}
}

// reportEvery is how often the same error is reported.
const reportEvery = time.Second

// errorLimit remembers when each errno was last reported. There are few.
type errorLimit struct {
	last map[unix.Errno]time.Time
}

func (e *errorLimit) allow(err error, now time.Time) bool {
	var errno unix.Errno
	errors.As(err, &errno) // what is none counts as 0
	if last, ok := e.last[errno]; ok && now.Sub(last) < reportEvery {
		return false
	}
	if e.last == nil {
		e.last = make(map[unix.Errno]time.Time)
	}
	e.last[errno] = now
	return true
}
