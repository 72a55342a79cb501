//go:build !(linux || freebsd || netbsd || dragonfly || darwin)

package sock

// setProbes does nothing: the times are a setting of the system (OpenBSD:
// sysctl net.inet.tcp.keepidle).
func setProbes(fd, idle, interval, count int) error { return nil }
