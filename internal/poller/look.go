package poller

import "golang.org/x/sys/unix"

// Look asks the system which conditions of interest a descriptor has now, beside any poller: for when the last
// word must not be that of a wait, which reports a part of what is ready if that is much. Of what cannot be
// asked it reports nothing.
func Look(fd int, interest Interest) Interest {
	socket, err := inspect(fd)
	if err != nil && err != errNeverBlocks { // by its mode: epoll has taken files of /proc that it has something to tell of
		return 0
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: pollAsks(fd, socket, interest)}}
	for {
		switch _, err := pollWait(fds, 0); {
		case err == unix.EINTR:
		case err != nil || fds[0].Revents == 0:
			return 0
		default:
			return pollReport(&fds[0], halfClosed) & interest
		}
	}
}
