//go:build !linux

package main

import (
	"errors"
	"time"
)

var errNoProc = errors.New("CPU time and memory of another process: only on Linux")

func cpuTime(int) (time.Duration, error) { return 0, errNoProc }
func residentBytes(int) (int64, error)   { return 0, errNoProc }
