package reactor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// PathInfo is what stat(2) says of a path; symbolic links are followed. Two of
// them are equal (==) if nothing has changed. The time of the last access is left
// out: reading a file does not change it.
type PathInfo struct {
	// Err is why there is no more to say, a syscall.Errno: ENOENT if nothing of
	// that name exists, EACCES if we must not know. The other fields are zero then.
	Err error

	Mode       uint32 // type and permissions, as in stat(2)
	UID, GID   uint32
	Links      uint64
	Size       int64 // in bytes
	Device     uint64
	Inode      uint64
	ModTime    time.Time // of the content
	ChangeTime time.Time // of content or attributes; cannot be set by programs
}

// Exists reports whether something of that name exists and may be looked at.
func (i PathInfo) Exists() bool { return i.Err == nil }

// statPath asks the kernel, which may have to ask a disk or another machine.
func statPath(path string) PathInfo {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	for errors.Is(err, unix.EINTR) { // network file systems
		err = unix.Stat(path, &st)
	}
	if err != nil {
		return PathInfo{Err: err}
	}
	return PathInfo{
		Mode:       uint32(st.Mode),
		UID:        st.Uid,
		GID:        st.Gid,
		Links:      uint64(st.Nlink),
		Size:       st.Size,
		Device:     uint64(st.Dev),
		Inode:      st.Ino,
		ModTime:    time.Unix(st.Mtim.Unix()),
		ChangeTime: time.Unix(st.Ctim.Unix()),
	}
}
