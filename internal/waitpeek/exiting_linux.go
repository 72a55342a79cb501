package waitpeek

import (
	"bytes"
	"os"
	"strconv"
)

// pfExiting is PF_EXITING of the kernel's include/linux/sched.h.
const pfExiting = 0x4

// Exiting reports whether a process is on its way out: its descriptors may be
// closed already, and its exit not yet be reported.
func Exiting(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	// proc_pid_stat(5): the command may contain anything, so fields count from its
	// last parenthesis. The flags are the ninth field of all, the seventh from there.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	return err == nil && flags&pfExiting != 0
}
