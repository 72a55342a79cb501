//go:build !linux

package main

import "errors"

var errNoProc = errors.New("measuring and limiting processes: only on Linux")

func cpuDemand(int) (demand, error)    { return nil, errNoProc }
func residentBytes(int) (int64, error) { return 0, errNoProc }
func limitFiles(uint64) error          { return errNoProc }
