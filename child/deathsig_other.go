//go:build !linux && !freebsd

package child

import "syscall"

// setDeathSignal does nothing: there is no such signal here. A worker notices
// its parent's death by the EOF on its protocol.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
