package reactor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// noticeYear is how far ahead the timerfd is set. What counts is that it is
// cancelled before; it is set again when it does run off.
const noticeYear = 365 * 24 * time.Hour

// jumpNotice is a timerfd that becomes readable when CLOCK_REALTIME is set, and
// after the machine has slept (Linux 3.0; timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
type jumpNotice struct{ w FDWatcher }

// open returns false where the kernel does not offer this, as emulations of Linux do.
func (n *jumpNotice) open(l *Loop) bool {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return false
	}
	n.w.init(l, fd, Read, n.expired)
	n.w.level = ownLevel
	n.w.Unref()
	if n.arm() != nil || n.w.Start() != nil {
		closeFD(&n.w.fd, -1)
		return false
	}
	return true
}

func (n *jumpNotice) active() bool { return n.w.active }

func (n *jumpNotice) close() {
	if n.w.active {
		_ = n.w.Stop() // ours, so it is open
		closeFD(&n.w.fd, -1)
	}
}

// arm sets the timer. ECANCELED tells of a jump since it was last set, and it is
// set all the same; whoever arms it looks at the clock afterwards.
func (n *jumpNotice) arm() error {
	at := unix.NsecToTimespec(time.Now().Add(noticeYear).UnixNano())
	err := unix.TimerfdSettime(n.w.FD(), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &unix.ItimerSpec{Value: at}, nil)
	if errors.Is(err, unix.ECANCELED) {
		return nil
	}
	return err
}

// expired reads ECANCELED, which makes the descriptor quiet again. If it cannot
// be armed any more, the ticker takes over.
func (n *jumpNotice) expired(Ready) {
	l := n.w.loop
	var count [8]byte
	_, err := sysRead(n.w.FD(), count[:])
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	if n.arm() != nil {
		n.close()
		l.walls.tick(l)
	}
	l.wallJumped()
}
