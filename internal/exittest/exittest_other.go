//go:build !linux

// Package exittest has a process for tests that begins to exit and takes its time;
// see its Linux version.
package exittest

// Main does nothing: only Linux has such a process.
func Main() {}
