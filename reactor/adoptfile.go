package reactor

import (
	"os"

	"golang.org/x/sys/unix"
)

// AdoptFile makes a stream of a file that can be watched, such as a pipe of
// os/exec: of what it was opened for, that is reading, writing or both. The file
// becomes the stream's; see AdoptFiles, which is the one for pipes on FreeBSD, OpenBSD and DragonFly:
// there either end of a pipe is open for both, and the CloseWrite of a stream of both does not close it.
func (l *Loop) AdoptFile(f *os.File, config StreamConfig) (*Stream, error) {
	mode := -1
	err := control(f, func(fd int) (err error) {
		mode, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		return opError("fcntl", fd, err)
	})
	if err != nil {
		return nil, err
	}
	switch mode & unix.O_ACCMODE {
	case unix.O_RDONLY:
		return l.AdoptFiles(f, nil, config)
	case unix.O_WRONLY:
		return l.AdoptFiles(nil, f, config)
	default:
		return l.AdoptFiles(f, f, config)
	}
}

// AdoptFiles makes a stream that reads one file and writes another, as NewStream
// does of descriptors; either may be nil, or both the same. They become the
// stream's: it has descriptors of its own for them, so that Go's netpoller lets
// go of them, and the files are closed. On an error they stay the caller's and open.
// Nobody may be reading from or writing to them meanwhile.
//
// They are made non-blocking, and so is whatever shares them: a terminal, say,
// that this process has got from its parent.
func (l *Loop) AdoptFiles(r, w *os.File, config StreamConfig) (*Stream, error) {
	readFD, err := duplicate(r)
	if err != nil {
		return nil, err
	}
	writeFD := readFD
	if w != r {
		writeFD, err = duplicate(w)
	}
	var s *Stream
	if err == nil {
		s, err = l.NewStream(readFD, writeFD, config)
	}
	if err != nil {
		closeFD(&readFD, writeFD)
		closeFD(&writeFD, -1)
		return nil, err
	}
	for _, f := range []*os.File{r, w} {
		if f != nil {
			// The second of two that are the same is closed already; else nothing is
			// lost by an error of a close: the stream has the descriptor that counts.
			_ = f.Close()
		}
	}
	return s, nil
}

// duplicate returns a descriptor of our own for a file; -1 for none.
func duplicate(f *os.File) (dup int, err error) {
	if f == nil {
		return -1, nil
	}
	dup = -1
	err = control(f, func(fd int) (err error) {
		dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return opError("dup", fd, err)
	})
	return dup, err
}

// control calls fn with a file's descriptor, which os.File.Fd would make blocking.
func control(f *os.File, fn func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		// The only reason, for which this call alone has an error of its own.
		return &os.PathError{Op: "adopt", Path: f.Name(), Err: os.ErrClosed}
	}
	return inner
}
