//go:build !linux

package rpc

// clockName is "": Go's monotonic times are of another clock than
// CLOCK_MONOTONIC on some of these systems (on macOS it stops while the machine
// sleeps), so deadlines travel as the time that is left.
func clockName() string { return "" }

func monotonic() int64 { return 0 }
