//go:build !(openbsd || dragonfly)

package sock

// dualStack: one IPv6 socket can serve IPv4 as well.
const dualStack = true
