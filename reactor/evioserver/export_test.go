//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

// ParseAddress is what becomes of an address.
func ParseAddress(text string) (network, name string, reusePort bool) {
	a := parseAddress(text)
	return a.network, a.name, a.reusePort
}

const HighWater = highWater
