package sock

import "golang.org/x/sys/unix"

// lostHere: what accept(2) of Linux lists besides.
func lostHere(errno unix.Errno) bool {
	switch errno {
	case unix.ENONET, unix.ENOSR, unix.ESOCKTNOSUPPORT, unix.EPROTONOSUPPORT:
		return true
	}
	return false
}
