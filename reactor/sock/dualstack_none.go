//go:build openbsd || dragonfly

package sock

// dualStack is false: IPv6 sockets of these systems never take IPv4 (ip6(4)).
const dualStack = false
