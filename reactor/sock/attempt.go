package sock

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// How long a dial waits before it tries a Unix socket again whose backlog is full:
// the kernel tells nobody when there is room.
const (
	firstRetry = time.Millisecond
	lastRetry  = 50 * time.Millisecond
)

// An attempt is one socket on its way to one address.
type attempt struct {
	dialing *Dialing
	addr    Addr
	fd      int
	watcher *reactor.FDWatcher // while the kernel is connecting
	retry   *reactor.Timer     // while a Unix socket has no room
	wait    time.Duration
}

// begin makes the socket and connects it. It returns false if that has failed
// already.
func (a *attempt) begin() (underWay bool) {
	if err := a.open(); err != nil {
		a.dialing.lost(a, err)
		return false
	}
	return a.connect()
}

func (a *attempt) family() int {
	if a.dialing.network.family == unix.AF_UNIX {
		return unix.AF_UNIX
	}
	return familyOf(a.addr.AddrPort.Addr())
}

func (a *attempt) open() (err error) {
	d, family := a.dialing, a.family()
	if a.fd, err = newSocket(family, unix.SOCK_STREAM); err != nil {
		a.fd = -1
		return err
	}
	if family == unix.AF_UNIX {
		return nil
	}
	if err := setTCP(a.fd, d.config.Delay, d.config.KeepAlive); err != nil {
		return err
	}
	if local := d.config.LocalAddr; local.IsValid() {
		return bindTo(a.fd, family, Addr{AddrPort: local})
	}
	return nil
}

// connect asks the kernel, and returns false if the attempt has failed.
func (a *attempt) connect() (underWay bool) {
	d, family := a.dialing, a.family()
	sa, err := a.addr.sockaddr(family)
	if err == nil {
		err = unix.Connect(a.fd, sa)
	}
	switch {
	case err == nil:
		return a.connected()
	case errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.EINTR):
		// Interrupted, it goes on in the background as well (connect(2) of POSIX).
		a.watcher, err = d.state.loop.WatchFD(a.fd, reactor.Write, a.onWritable)
	case errors.Is(err, unix.EAGAIN) && family == unix.AF_UNIX:
		a.retryLater()
		err = nil
	}
	if err != nil {
		d.lost(a, err)
		return false
	}
	return true
}

func (a *attempt) retryLater() {
	if a.retry == nil {
		a.wait = firstRetry
		a.retry = a.dialing.state.loop.AfterFunc(a.wait, a.retryNow)
		return
	}
	a.wait = min(2*a.wait, lastRetry)
	a.retry.Reset(a.wait)
}

func (a *attempt) retryNow() {
	if !a.connect() {
		a.dialing.tryNext()
	}
}

// onWritable is called when the kernel has decided.
func (a *attempt) onWritable(reactor.Ready) {
	if a.decided() {
		a.dialing.tryNext()
	}
}

// decided looks at what the kernel has decided, and reports whether the attempt is lost. That may be nothing: the
// readiness can be spurious.
func (a *attempt) decided() (lost bool) {
	code, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	switch {
	case err != nil:
		a.dialing.lost(a, err)
		return true
	case a.hasPeer():
		return !a.connected()
	}
	return false
}

// hasPeer reports whether the kernel has connected the socket.
func (a *attempt) hasPeer() bool {
	_, err := unix.Getpeername(a.fd)
	return !errors.Is(err, unix.ENOTCONN)
}

// connected ends the dial, unless the socket is connected to itself.
func (a *attempt) connected() bool {
	if a.dialing.network.tcp() && a.toItself() {
		a.dialing.lost(a, unix.ECONNREFUSED)
		return false
	}
	a.dialing.won(a)
	return true
}

// toItself: when nobody listens on a port, and the kernel gives our socket that
// same port, TCP's simultaneous open connects it to itself (RFC 9293, 3.5).
func (a *attempt) toItself() bool {
	local, err := LocalAddr(a.fd)
	if err != nil {
		return false
	}
	remote, err := RemoteAddr(a.fd)
	return err == nil && local == remote
}

func (a *attempt) stop() {
	if a.watcher != nil {
		_ = a.watcher.Stop() // the descriptor is open: no error is possible
	}
	if a.retry != nil {
		a.retry.Stop()
	}
}

// drop closes the socket.
func (a *attempt) drop() {
	a.stop()
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
		a.dialing.state.freed()
	}
}
