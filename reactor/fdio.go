package reactor

import "golang.org/x/sys/unix"

// ReadFD reads once from a non-blocking descriptor, for callbacks of WatchFD: at
// most 256 KiB into buf, which stays the caller's. It returns 0 and nil at the end
// of the file, and unix.EAGAIN, unwrapped, when there is nothing to read; other
// errors are *OpError. On Linux it does not tell Go's scheduler, which costs
// unix.Read about 100 ns (docs/performance.md): on a descriptor that blocks, it
// would keep other goroutines from running. It may be called on any goroutine, and
// allocates nothing but its errors.
func ReadFD(fd int, buf []byte) (int, error) {
	buf = buf[:min(len(buf), maxTransfer)]
	for {
		n, err := sysRead(fd, buf)
		if err != unix.EINTR {
			return transferred("read", fd, n, err)
		}
	}
}

// WriteFD writes once to a non-blocking descriptor: at most 256 KiB of data, and
// what it returns may be less. It returns unix.EAGAIN, unwrapped, when there is
// no room; other errors are *OpError. For the rest it is like ReadFD.
func WriteFD(fd int, data []byte) (int, error) {
	data = data[:min(len(data), maxTransfer)]
	for {
		n, err := sysWrite(fd, data)
		if err != unix.EINTR {
			return transferred("write", fd, n, err)
		}
	}
}

// transferred is the result of a system call that may return -1 with an error.
func transferred(op string, fd, n int, err error) (int, error) {
	switch err {
	case nil:
		return n, nil
	case unix.EAGAIN:
		return 0, err
	}
	return 0, opError(op, fd, err)
}
