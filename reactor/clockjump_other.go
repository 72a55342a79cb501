//go:build !linux

package reactor

// jumpNotice is not there: no other system that we run on tells a descriptor
// that the clock was set.
type jumpNotice struct{}

func (*jumpNotice) open(*Loop) bool { return false }
func (*jumpNotice) active() bool    { return false }
func (*jumpNotice) close()          {}
