package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

// cpuSet is the kernel's CPU mask, large enough for 1024 CPUs.
type cpuSet [16]uint64

// startOnCPUs starts cmd on all CPUs (0) or confined to the first one this
// process may use (1). Affinity is the thread's, and a new process takes it
// from the thread that forks it: hence the locked thread, which is put back
// afterwards.
func startOnCPUs(cmd *exec.Cmd, cpus int) error {
	if cpus == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	allowed, err := affinity()
	if err != nil {
		return err
	}
	if err := setAffinity(allowed.first()); err != nil {
		return err
	}
	started := cmd.Start()
	if err := setAffinity(allowed); err != nil {
		return err
	}
	return started
}

func (s cpuSet) first() cpuSet {
	var one cpuSet
	for i, word := range s {
		if word != 0 {
			one[i] = word & -word
			return one
		}
	}
	return one
}

func affinity() (cpuSet, error) {
	var s cpuSet
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(s), uintptr(unsafe.Pointer(&s)))
	if errno != 0 {
		return s, fmt.Errorf("sched_getaffinity: %w", errno)
	}
	return s, nil
}

func setAffinity(s cpuSet) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(s), uintptr(unsafe.Pointer(&s)))
	if errno != 0 {
		return fmt.Errorf("sched_setaffinity: %w", errno)
	}
	return nil
}
