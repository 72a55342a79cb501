package sock

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A socketFile is the file that a Unix socket has made by its bind: the one to
// remove with it, and no other that has come to its path since.
type socketFile struct {
	path string // empty: none
	dev  uint64
	ino  uint64
}

// fileAt returns the socket file at a path; ok is false if there is none.
func fileAt(path string) (f socketFile, ok bool) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return socketFile{}, false
	}
	return socketFile{path: path, dev: uint64(st.Dev), ino: uint64(st.Ino)}, true
}

// remove removes the file if it is still the same.
func (f *socketFile) remove() {
	if now, ok := fileAt(f.path); ok && now == *f {
		_ = unix.Unlink(f.path) // the folder may forbid it, or be gone
	}
	*f = socketFile{}
}

// abstract reports whether a name is in no file system.
func abstract(path string) bool { return hasAbstract && strings.HasPrefix(path, "@") }

// bindFile makes a socket bound to a path, in place of one that nobody listens on.
func bindFile(n network, path string, mode fs.FileMode) (fd int, file socketFile, err error) {
	if fd, err = newSocket(unix.AF_UNIX, n.kind); err != nil {
		return -1, socketFile{}, err
	}
	err = bindTo(fd, unix.AF_UNIX, Addr{Path: path})
	if errors.Is(err, unix.EADDRINUSE) && !abstract(path) && removeStale(n, path) {
		err = bindTo(fd, unix.AF_UNIX, Addr{Path: path})
	}
	if err == nil && !abstract(path) {
		file, _ = fileAt(path)
		if mode != 0 {
			// Nobody can connect before listen(2), so this is not too late. Only
			// datagrams can come before it.
			err = os.Chmod(path, mode.Perm())
		}
	}
	if err != nil {
		unix.Close(fd)
		file.remove()
		return -1, socketFile{}, err
	}
	return fd, file, nil
}

// removeStale removes the socket at a path if connecting to it is refused, which
// means that the process that was bound to it is gone. It reports whether the
// path may be free now.
func removeStale(n network, path string) bool {
	file, ok := fileAt(path)
	if !ok {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist) // it went meanwhile
	}
	fd, err := newSocket(unix.AF_UNIX, n.kind)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); !errors.Is(err, unix.ECONNREFUSED) {
		return errors.Is(err, unix.ENOENT)
	}
	file.remove()
	return true
}
