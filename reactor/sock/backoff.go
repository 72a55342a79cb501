package sock

import (
	"container/list"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// How long a listener waits that cannot accept: as Go's net/http does.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = time.Second
)

// backoff is how a listener waits until accepting may work again. Meanwhile the
// listening socket is not watched: it stays ready, and the loop would spin.
type backoff struct {
	timer   *reactor.Timer
	wait    time.Duration // of the next pause
	element *list.Element // of state.waiting, while it lasts
	reserve int           // a descriptor to give up; -1: none
}

func (b *backoff) init(l *Listener) error {
	b.wait, b.reserve = firstWait, -1
	b.timer = l.state.loop.AfterFunc(lastWait, l.retry)
	b.timer.Stop()
	if l.config.Shed {
		return b.refill()
	}
	return nil
}

func (b *backoff) active() bool { return b.element != nil }

// reset is called when a connection was accepted.
func (b *backoff) reset() { b.wait = firstWait }

// refill opens the reserve, if it is not there.
func (b *backoff) refill() (err error) {
	if b.reserve < 0 {
		b.reserve, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	return err
}

// end ends the pause, without watching the socket again.
func (b *backoff) end(l *Listener) {
	if b.element != nil {
		b.timer.Stop()
		l.state.waiting.Remove(b.element)
		b.element = nil
	}
}

func (b *backoff) drop(l *Listener) {
	b.end(l)
	if b.timer != nil && b.reserve >= 0 {
		unix.Close(b.reserve)
		b.reserve = -1
	}
}

// backOff pauses accepting.
func (l *Listener) backOff(err error) {
	b := &l.backoff
	l.stats.Backoffs++
	b.element = l.state.waiting.PushBack(l)
	b.timer.Reset(b.wait)
	b.wait = min(2*b.wait, lastWait)
	_ = l.watcher.Stop() // see Pause
	if err != nil {
		l.report(err) // last: it may close the listener
	}
}

// retry ends the pause, which Pause and Close have not ended before.
func (l *Listener) retry() {
	l.backoff.end(l)
	if l.config.Shed {
		_ = l.backoff.refill() // else the next connection waits
	}
	// ErrClosed: the loop has failed, which is not the listener's to report.
	if err := l.watcher.Start(); err != nil && !errors.Is(err, reactor.ErrClosed) {
		l.backOff(err)
	}
}

// shed accepts one connection with the descriptor kept in reserve, and closes it. If there is no such descriptor, or
// another thread was faster to take it, or accepting fails for another reason, the listener pauses. It reports whether there may be more to accept: Linux
// says that there is no descriptor before it looks for a connection.
func (l *Listener) shed(cause error) (more bool) {
	b := &l.backoff
	if b.refill() != nil {
		l.backOff(cause)
		return false
	}
	unix.Close(b.reserve)
	b.reserve = -1
	fd, _, err := l.accept(l.fd)
	if err == nil {
		unix.Close(fd)
		l.stats.Shed++
	}
	_ = b.refill() // else at the next opportunity
	switch {
	case err == nil:
		l.report(cause) // last: it may close the listener
	case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
		l.backOff(err)
	}
	return !errors.Is(err, unix.EAGAIN)
}
