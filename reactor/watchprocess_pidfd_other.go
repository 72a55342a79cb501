//go:build !linux

package reactor

// pidfdExits: only Linux has pidfds.
func pidfdExits(*Loop) exitSource { return nil }
