package sock

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// Adopt makes a stream of a connection of package net, so that the loop serves
// it instead of goroutines. The stream works on a duplicate of the connection's
// descriptor, and conn is closed, which ends calls that wait in it; bytes that
// were read from it already, by net/http say, are the caller's, who can give them to the
// stream's Reader with Feed. If an error is returned, conn is open and unchanged.
//
// conn must be a stream socket itself, such as a *net.TCPConn or a *net.UnixConn.
// What only wraps one (a *tls.Conn) is refused with ErrNoDescriptor, since the
// bytes on the socket are not its.
func Adopt(loop *reactor.Loop, conn net.Conn, config reactor.StreamConfig) (*reactor.Stream, error) {
	s, err := stateOf(loop)
	if err != nil {
		return nil, &Error{Op: "adopt", Err: err}
	}
	fd, err := duplicate(conn)
	if err != nil {
		return nil, &Error{Op: "adopt", Err: err}
	}
	c := Conn{state: s, fd: fd}
	stream, err := c.Stream(config)
	if err != nil {
		c.Close()
		return nil, &Error{Op: "adopt", Err: err}
	}
	conn.Close()
	return stream, nil
}

// AdoptListener makes a Listener of one of package net, for instance one that was
// inherited from a service manager. Its address and the options that it was made
// with stay; of config, Delay and KeepAlive are set, and a Backlog above 0. On
// success listener is closed, and the file of a Unix socket, if config says so, is
// removed by the new one. If an error is returned, listener is open.
func AdoptListener(loop *reactor.Loop, listener net.Listener, config ListenConfig, onAccept func(c *Conn)) (*Listener, error) {
	l := &Listener{fd: -1, config: config, onAccept: onAccept, accept: accept4}
	if err := l.adopt(loop, listener); err != nil {
		l.file = socketFile{} // still the other's
		l.drop()
		return nil, &Error{Op: "adopt", Err: err}
	}
	if u, ok := listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	listener.Close()
	return l, nil
}

func (l *Listener) adopt(loop *reactor.Loop, listener net.Listener) error {
	if l.onAccept == nil || l.config.Backlog < 0 {
		return reactor.ErrInvalid
	}
	s, err := stateOf(loop)
	if err != nil {
		return err
	}
	if l.fd, err = duplicate(listener); err != nil {
		return err
	}
	// Whoever had a File of it, and asked for its Fd, may have made it blocking.
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return err
	}
	addr, err := LocalAddr(l.fd)
	if err != nil {
		return err
	}
	l.name = addr.String()
	if addr.AddrPort.IsValid() {
		l.network = network{"tcp", unix.SOCK_STREAM, unix.AF_UNSPEC}
		err = setTCP(l.fd, l.config.Delay, l.config.KeepAlive)
	} else {
		l.network = network{"unix", unix.SOCK_STREAM, unix.AF_UNIX}
		if !abstract(addr.Path) {
			l.file, _ = fileAt(addr.Path)
		}
	}
	if err == nil && l.config.Backlog > 0 {
		err = unix.Listen(l.fd, l.backlog())
	}
	if err != nil {
		return err
	}
	return l.start(s)
}

// duplicate returns a descriptor of our own for the stream socket that x is.
func duplicate(x any) (int, error) {
	sc, ok := x.(syscall.Conn)
	if !ok {
		return -1, ErrNoDescriptor
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(theirs uintptr) {
		kind, err := unix.GetsockoptInt(int(theirs), unix.SOL_SOCKET, unix.SO_TYPE)
		switch {
		case err != nil:
			dupErr = err
		case kind != unix.SOCK_STREAM:
			dupErr = unix.EPROTOTYPE
		default:
			fd, dupErr = unix.FcntlInt(theirs, unix.F_DUPFD_CLOEXEC, 0)
		}
	})
	if err = errors.Join(err, dupErr); err != nil {
		return -1, err
	}
	return fd, nil
}

// Detach takes a socket from its stream and makes a connection of package net of
// it, for a goroutine to go on with, or for crypto/tls. It ends the stream as
// Stream.Detach does: no callback is made any more, OnClose included. What the
// stream's Reader had been given and not made into units is returned in unread: it
// precedes what conn will read. To a TCP connection package net does what it does to all: Nagle's algorithm is off, and
// keep-alive on with net's times, whatever was chosen before. If bytes are queued that the kernel does not take
// now, it returns ErrUnwritten: try again when Buffered is 0. OnDrain tells of that if
// HighWater is 1; with other water marks it comes while bytes are left, or, of few, not
// at all. If an error is returned, the stream goes on, but may have written what was queued.
func Detach(s *reactor.Stream) (conn net.Conn, unread []byte, err error) {
	if conn, err = connOf(s); err != nil {
		return nil, nil, &Error{Op: "detach", Err: err}
	}
	fd, _, unread, _ := s.Detach()
	unix.Close(fd) // conn has a duplicate
	return conn, unread, nil
}

// connOf makes a connection of what a stream works on.
func connOf(s *reactor.Stream) (net.Conn, error) {
	r, w := s.FDs()
	if s.Closed() || r < 0 || r != w {
		return nil, reactor.ErrClosed // or it never was one socket
	}
	switch s.Flush(); {
	case s.Closed():
		return nil, reactor.ErrClosed // its reading had ended, and its writing has with this
	case s.Buffered() > 0:
		return nil, ErrUnwritten
	}
	fd, err := unix.FcntlInt(uintptr(r), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "detached")
	defer file.Close() // FileConn makes another duplicate
	return net.FileConn(file)
}
