//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

// startOnCPUs can confine a process on Linux only.
func startOnCPUs(cmd *exec.Cmd, cpus int) error {
	if cpus != 0 {
		return errors.New("CPU affinity: only on Linux; use -cpus all")
	}
	return cmd.Start()
}
