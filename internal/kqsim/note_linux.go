package kqsim

import (
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
	"github.com/evfork/evfork/internal/waitpeek"
)

// A note is one registration, a knote.
type note struct {
	ident     uintptr
	filter    kevent.Filter
	udata     [1]uintptr
	flags     kevent.Flags // EV_CLEAR, EV_ONESHOT, EV_DISPATCH
	disabled  bool
	triggered bool // EVFILT_USER
	muted     bool // never to be reported again; see Queue.mute
	named     bool // of a named pipe whose end is not told of; see Quirks.FIFOStaysOpen
	drained   bool // it is empty, with a writer or without: only what comes next counts
	told      bool // of a file: it has been reported since it was added
	set       int
	file      file // EVFILT_READ, EVFILT_WRITE
	pidfd     int  // EVFILT_PROC; else -1
	stat      int  // of the process, if that is to be looked at; else -1
}

// alive reports whether the descriptor is still what was registered. A real
// kernel deletes the note when the descriptor is closed.
func (n *note) alive() bool {
	if n.filter == kevent.EVFILT_PROC || n.filter == kevent.EVFILT_USER {
		return true
	}
	return isOpen(int(n.ident)) && identify(int(n.ident)) == n.file
}

func (n *note) watching() bool { return !n.disabled && !n.muted }

// isFile reports whether it is about a file that never blocks.
func (n *note) isFile() bool {
	return n.file.kind == unix.S_IFREG || n.file.kind == unix.S_IFDIR
}

// exiting reports whether the process has begun to exit. It does not allocate: the
// tests of allocations run with every quirk, too.
func (n *note) exiting() bool {
	if n.stat < 0 {
		return false
	}
	var buf [1024]byte
	size, err := unix.Pread(n.stat, buf[:], 0)
	return err == nil && waitpeek.ExitingIn(buf[:size]) // ESRCH: it was reaped
}

// exited makes a report that of an exit.
func (n *note) exited(ev *kevent.Event) {
	ev.Fflags = kevent.NOTE_EXIT
	ev.Flags |= kevent.EV_EOF
}

// close closes what a note of a process has open.
func (n *note) close() {
	for _, fd := range []int{n.pidfd, n.stat} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// watched is the descriptor that the kernel watches for the note.
func (n *note) watched() int {
	if n.filter == kevent.EVFILT_PROC {
		return n.pidfd
	}
	return int(n.ident)
}

func (n *note) bits() (bits uint32) {
	switch n.filter {
	case kevent.EVFILT_WRITE:
		bits = unix.EPOLLOUT
	case kevent.EVFILT_READ:
		bits = unix.EPOLLIN | unix.EPOLLRDHUP
	default:
		bits = unix.EPOLLIN
	}
	if n.edge() {
		bits |= unix.EPOLLET
	}
	return bits
}

// edge reports whether the kernel tells of changes only.
func (n *note) edge() bool { return n.flags&kevent.EV_CLEAR != 0 || n.drained }

func (n *note) event() kevent.Event {
	return kevent.Event{Ident: n.ident, Filter: n.filter, Flags: n.flags, Udata: n.udata}
}

// A file is what a descriptor refers to, as far as can be told from outside.
type file struct {
	dev, inode uint64
	kind       uint32
	access     int
}

func identify(fd int) file {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return file{}
	}
	access, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return file{}
	}
	return file{dev: st.Dev, inode: st.Ino, kind: st.Mode & unix.S_IFMT, access: access & unix.O_ACCMODE}
}

func (f file) socket() bool   { return f.kind == unix.S_IFSOCK }
func (f file) readEnd() bool  { return f.kind == unix.S_IFIFO && f.access == unix.O_RDONLY }
func (f file) writeEnd() bool { return f.kind == unix.S_IFIFO && f.access == unix.O_WRONLY }

// isNamed tells a pipe made by mkfifo from one made by pipe(2).
func isNamed(fd int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && fs.Type != unix.PIPEFS_MAGIC
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// conditions is what poll(2) says about a descriptor.
func conditions(fd int) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}}
	for {
		_, err := unix.Poll(fds, 0)
		if err == nil {
			return fds[0].Revents
		}
		if err != unix.EINTR {
			return 0
		}
	}
}

// sendingIsShut reports whether this side has shut down the sending of a stream
// socket. poll does not say so, but sending nothing does. An error that is pending
// must not be taken by that: then it is not asked.
func sendingIsShut(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM || conditions(fd)&unix.POLLERR != 0 {
		return false
	}
	err = unix.Sendto(fd, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil)
	return err == unix.EPIPE
}
