package sock

import (
	"container/list"
	"io/fs"
	"math"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// ListenConfig configures Listen. The zero value is useful.
type ListenConfig struct {
	// Backlog is how many connections the kernel keeps ready, beyond which it
	// refuses or ignores them. 0: as many as the system allows.
	Backlog int
	// ReusePort lets several sockets listen on the same address; the kernel
	// spreads connections over them (Linux; FreeBSD: SO_REUSEPORT_LB).
	ReusePort bool
	// Delay leaves Nagle's algorithm on. Go's net, too, turns it off by default.
	Delay bool
	// KeepAlive is for the accepted TCP connections.
	KeepAlive KeepAlive

	// Mode is for the file of a Unix socket: who may connect. It is set before
	// the first connection can be made. 0: what the umask leaves.
	Mode fs.FileMode
	// KeepFile leaves the file of a Unix socket behind. Otherwise closing the
	// listener removes it, if it is still the listener's own.
	KeepFile bool

	// Shed decides what happens when the process or the system has no
	// descriptor for another connection (EMFILE, ENFILE). False: connections
	// wait in the kernel, and accepting is tried again after 5 ms, then after
	// twice that, and so on up to 1 s, and at once when a connection of this
	// package on this loop is closed. True: a descriptor that was kept in
	// reserve is given up for a moment to accept the connection and close it,
	// so that clients learn at once that they are not served.
	Shed bool

	// OnError is told what was wrong with accepting, as an *Error; the listener
	// goes on in any case. The same errno is reported at most once a second.
	OnError func(err error)
}

// ListenerStats counts what a listener has done.
type ListenerStats struct {
	Accepted uint64 // connections given to the callback
	Shed     uint64 // connections closed for want of descriptors
	Errors   uint64 // of accept, whether reported or not; "nothing to accept" is none
	Backoffs uint64 // how often it has paused because accepting did not work
}

// A Listener accepts connections. All methods belong to the loop's goroutine.
// While it is open, and unless it is paused or unreferenced, it keeps Run from
// returning. The loop's Close and Shutdown close it.
type Listener struct {
	state    *state
	element  *list.Element // of state.open
	network  network
	name     string // as it was given, for errors
	addr     Addr
	fd       int
	config   ListenConfig
	onAccept func(*Conn)
	conn     Conn // lent to onAccept
	watcher  *reactor.FDWatcher
	file     socketFile
	accept   func(fd int) (int, inet, error) // accept4, or a test's

	suspended bool // by Pause
	backoff   backoff
	errors    errorLimit
	stats     ListenerStats
}

// Listen listens on an address of network "tcp", "tcp4", "tcp6" or "unix", and
// calls onAccept for every connection, at most 64 times in an iteration. What
// onAccept may do with the connection is documented at Conn.
//
// An IP address is "host:port"; the host is a literal, "localhost" (the loopback
// address) or empty. Other names are refused with ErrHostName, because looking
// them up would block. Port 0 lets the system choose; see Addr. "tcp" without a
// host, and with an unspecified one, listens on IPv4 and IPv6, "tcp6" on IPv6
// only, as in Go's net. SO_REUSEADDR is set.
//
// A Unix address is a path, or "@name" for an abstract socket (Linux). If the
// file exists, it is replaced when it is a socket that nobody listens on
// (connecting to it is refused), and else left alone, with EADDRINUSE. Two
// processes that start at the same moment can both find the file of a third
// that has died; the later one wins.
func Listen(loop *reactor.Loop, network, address string, config ListenConfig, onAccept func(c *Conn)) (*Listener, error) {
	n, err := streamNetwork(network)
	if err != nil {
		return nil, &Error{Op: "listen", Network: network, Address: address, Err: err}
	}
	l := &Listener{network: n, name: address, fd: -1, config: config, onAccept: onAccept, accept: accept4}
	if err := l.open(loop); err != nil {
		l.drop()
		return nil, &Error{Op: "listen", Network: network, Address: address, Err: err}
	}
	return l, nil
}

func (l *Listener) open(loop *reactor.Loop) error {
	if l.onAccept == nil || l.config.Backlog < 0 {
		return reactor.ErrInvalid
	}
	s, err := stateOf(loop)
	if err != nil {
		return err
	}
	addr, err := l.network.literal(l.name, unspecified)
	if err != nil {
		return err
	}
	if l.network.family == unix.AF_UNIX {
		l.fd, l.file, err = bindFile(l.network, addr.Path, l.config.Mode)
	} else {
		l.fd, _, err = l.network.open(addr, l.prepare)
	}
	if err != nil {
		return err
	}
	if err := unix.Listen(l.fd, l.backlog()); err != nil {
		return err
	}
	return l.start(s)
}

// backlog is cut off by the kernel at its own limit, on all systems.
func (l *Listener) backlog() int {
	if l.config.Backlog == 0 {
		return math.MaxInt32
	}
	return optionValue(int64(l.config.Backlog))
}

// prepare sets what has to be set before the bind, and what accepted connections inherit.
func (l *Listener) prepare(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if l.config.ReusePort {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, reusePort, 1); err != nil {
			return err
		}
	}
	return setTCP(fd, l.config.Delay, l.config.KeepAlive)
}

// start puts a listening socket on the loop.
func (l *Listener) start(s *state) (err error) {
	l.state = s
	l.conn = Conn{state: s, fd: -1}
	if l.addr, err = LocalAddr(l.fd); err != nil {
		return err
	}
	if err := l.backoff.init(l); err != nil {
		return err
	}
	if l.watcher, err = s.loop.WatchFD(l.fd, reactor.Read, l.onReadable); err != nil {
		return err
	}
	l.element = s.open.PushBack(l)
	return nil
}

// Addr returns the address that the listener is bound to, with the port that the
// system has chosen.
func (l *Listener) Addr() Addr { return l.addr }

// FD returns the listening descriptor, for options that are not here; it stays
// the listener's. -1 after Close.
func (l *Listener) FD() int { return l.fd }

// Stats returns the counters.
func (l *Listener) Stats() ListenerStats { return l.stats }

// Pause stops accepting; connections wait in the kernel, up to the backlog. It
// may be called from inside the callback. A paused listener does not keep Run
// from returning.
func (l *Listener) Pause() {
	l.suspended = true
	l.backoff.end(l)
	if l.fd >= 0 {
		// The descriptor is open and registered, so no error is possible.
		_ = l.watcher.Stop()
	}
}

// Resume undoes Pause. It also makes a listener that has run out of descriptors
// try again at once.
func (l *Listener) Resume() error {
	l.suspended = false
	if l.fd < 0 {
		return reactor.ErrClosed
	}
	l.backoff.end(l)
	return l.watcher.Start()
}

// Unref makes the listener work on without keeping Run from returning.
func (l *Listener) Unref() {
	l.watcher.Unref()
	l.backoff.timer.Unref()
}

// Ref undoes Unref.
func (l *Listener) Ref() {
	l.watcher.Ref()
	l.backoff.timer.Ref()
}

// Close stops listening. Connections that the kernel has ready are reset by it;
// those that were accepted are not touched. Closing twice is harmless.
func (l *Listener) Close() {
	if l.fd < 0 {
		return
	}
	l.drop()
	l.state.freed()
}

func (l *Listener) end()           { l.Close() }
func (l *Listener) flushing() bool { return false }

// drop gives back whatever there is.
func (l *Listener) drop() {
	if l.watcher != nil {
		_ = l.watcher.Stop() // see Pause
	}
	l.backoff.drop(l)
	if l.element != nil {
		l.state.open.Remove(l.element)
		l.element = nil
	}
	if !l.config.KeepFile {
		l.file.remove()
	}
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
}
