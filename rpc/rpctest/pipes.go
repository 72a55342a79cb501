package rpctest

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pipe returns a blocking, close-on-exec pipe.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatalf("rpctest: pipe: %v", err)
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return p[0], p[1]
}

// fdPair is the server's end: descriptors that block.
type fdPair struct{ r, w int }

// FDs implements rpc.FDs. The descriptors stay the pair's maker's, who closes them.
func (f fdPair) FDs() (readFD, writeFD int) { return f.r, f.w }

// file is a descriptor that is to be closed unless its user has done so: some
// servers close theirs. A number that means another file by now is left alone.
type file struct {
	fd   int
	stat unix.Stat_t
}

func fileOf(fd int) file {
	f := file{fd: fd}
	_ = unix.Fstat(fd, &f.stat) // of a descriptor that was just opened
	return f
}

// open reports whether the number still means the file.
func (f *file) open() bool {
	var now unix.Stat_t
	return f.fd >= 0 && unix.Fstat(f.fd, &now) == nil && now.Ino == f.stat.Ino && now.Dev == f.stat.Dev
}

func (f *file) close() {
	if f.open() {
		unix.Close(f.fd)
	}
	f.fd = -1
}
