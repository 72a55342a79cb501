//go:build linux || darwin

package waitpeek

// The codes of SIGCHLD in signal.h that mean an exit.
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// isExit reports whether what waitid has found, if anything, is an exit: it may be a stop that it was not asked for.
func isExit(code int32) bool {
	return code == cldExited || code == cldKilled || code == cldDumped
}
