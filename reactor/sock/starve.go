package sock

import (
	"container/list"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// How long a listener waits that cannot accept: as Go's net/http does.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = time.Second
)

// hunger is a listener's want of descriptors. While it lasts the listening
// socket is not watched: it stays ready, and the loop would spin.
type hunger struct {
	timer   *reactor.Timer
	wait    time.Duration // of the next pause
	element *list.Element // of state.starved, while it lasts
	reserve int           // a descriptor to give up; -1: none
}

func (h *hunger) init(l *Listener) error {
	h.wait, h.reserve = firstWait, -1
	h.timer = l.state.loop.AfterFunc(lastWait, l.retry)
	h.timer.Stop()
	if l.config.Shed {
		return h.refill()
	}
	return nil
}

func (h *hunger) starving() bool { return h.element != nil }

// fed is called when a connection was accepted.
func (h *hunger) fed() { h.wait = firstWait }

// refill opens the reserve, if it is not there.
func (h *hunger) refill() (err error) {
	if h.reserve < 0 {
		h.reserve, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	return err
}

// end ends the pause, without watching the socket again.
func (h *hunger) end(l *Listener) {
	if h.element != nil {
		h.timer.Stop()
		l.state.starved.Remove(h.element)
		h.element = nil
	}
}

func (h *hunger) drop(l *Listener) {
	h.end(l)
	if h.timer != nil && h.reserve >= 0 {
		unix.Close(h.reserve)
		h.reserve = -1
	}
}

// starve pauses accepting.
func (l *Listener) starve(err error) {
	h := &l.hunger
	l.stats.Starved++
	h.element = l.state.starved.PushBack(l)
	h.timer.Reset(h.wait)
	h.wait = min(2*h.wait, lastWait)
	_ = l.watcher.Stop() // see Pause
	if err != nil {
		l.report(err) // last: it may close the listener
	}
}

// retry ends the pause.
func (l *Listener) retry() {
	l.hunger.end(l)
	if l.fd < 0 || l.suspended {
		return
	}
	if l.config.Shed {
		_ = l.hunger.refill() // else the next connection waits
	}
	if err := l.watcher.Start(); err != nil {
		l.starve(err)
	}
}

// shed accepts one connection with the descriptor kept in reserve, and closes
// it. It fails if another thread was faster to take that descriptor.
func (l *Listener) shed(cause error) bool {
	h := &l.hunger
	if h.refill() != nil {
		return false
	}
	unix.Close(h.reserve)
	h.reserve = -1
	fd, _, err := l.accept(l.fd)
	if err == nil {
		unix.Close(fd)
		l.stats.Shed++
	}
	_ = h.refill() // else at the next opportunity
	if err == nil {
		l.report(cause) // last: it may close the listener
	}
	return err == nil || !exhausted(err)
}
