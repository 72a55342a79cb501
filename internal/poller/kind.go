package poller

import (
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/wrap"
)

// errNeverBlocks is epoll's answer, given in words.
var errNeverBlocks = wrap.Error("a regular file or directory is always ready: operation not permitted", unix.EPERM)

// inspect asks what a descriptor is before it is registered. Only epoll refuses
// by itself what never blocks: poll(2) always reports it, and kqueues differ (on
// FreeBSD the write filter of a regular file always fires, elsewhere some files
// fire once): the loop would spin, or wait for ever.
func inspect(fd int) (socket bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return false, errNeverBlocks
	case unix.S_IFSOCK:
		return true, nil
	}
	return false, nil
}

func isWriteOnly(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_WRONLY
}
