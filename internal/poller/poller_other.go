//go:build !linux

package poller

// Open returns ErrUnsupported: this platform's poller is not written yet.
func Open() (Poller, error) { return nil, ErrUnsupported }
