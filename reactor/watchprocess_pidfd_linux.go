package reactor

import (
	"os"

	"golang.org/x/sys/unix"
)

// pidfdSource watches a pidfd per watcher, which is readable from the exit on. Each
// has its own, as it is what the watcher was started for even if the number should
// be another process's by now.
type pidfdSource struct {
	loop   *Loop
	pidfds map[*ProcessWatcher]*FDWatcher
}

// pidfdExits tries whether there are pidfds: since Linux 5.3, if no seccomp filter
// refuses them.
func pidfdExits(l *Loop) exitSource {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	switch err {
	case nil:
		unix.Close(fd)
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM: // there are, and there may be room later
	default: // ENOSYS, or whatever the filter's author has chosen
		return nil
	}
	return &pidfdSource{l, make(map[*ProcessWatcher]*FDWatcher)}
}

func (s *pidfdSource) watch(w *ProcessWatcher) error {
	fd, err := unix.PidfdOpen(w.pid, 0)
	if err == unix.ENOENT || err == unix.EINVAL {
		// The number is in use, but not by a process: by a thread, or by the group of a process that has been reaped. Linux 6.18 has
		// ENOENT for the first, and ESRCH for the second; older kernels have EINVAL for both (pidfd_create, pidfd_prepare).
		err = unix.ESRCH
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	pidfd := &FDWatcher{}
	pidfd.init(s.loop, fd, Read, func(Ready) { w.exited() })
	pidfd.level = ownLevel
	pidfd.Unref() // the process's watcher counts, or does not
	if err := pidfd.Start(); err != nil {
		unix.Close(fd)
		return err
	}
	s.pidfds[w] = pidfd
	return nil
}

func (s *pidfdSource) unwatch(w *ProcessWatcher) {
	pidfd := s.pidfds[w]
	delete(s.pidfds, w)
	pidfd.Stop() // of an open descriptor: no error is possible
	unix.Close(pidfd.FD())
}

func (s *pidfdSource) close() {}
