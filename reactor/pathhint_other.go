//go:build !linux

package reactor

// pathHints are not there: kqueue's EVFILT_VNODE wants an open descriptor per
// file, which would keep file systems from being unmounted, and cannot tell of a
// file that does not exist yet. Paths are looked at at their interval.
type pathHints struct{}

type pathHint struct{}

func (pathHints) open(*Loop)                  {}
func (pathHints) close()                      {}
func (pathHints) renew(*PathWatcher)          {}
func (pathHints) drop(*PathWatcher)           {}
func (pathHints) verify([]*PathWatcher) error { return nil }
