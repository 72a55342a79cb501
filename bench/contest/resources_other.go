//go:build !linux

package main

import (
	"errors"
	"time"
)

var errNoProc = errors.New("measuring and limiting processes: only on Linux")

func cpuDemand(int) (time.Duration, error) { return 0, errNoProc }
func residentBytes(int) (int64, error)     { return 0, errNoProc }
func limitFiles(uint64) error              { return errNoProc }
