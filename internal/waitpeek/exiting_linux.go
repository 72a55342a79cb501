package waitpeek

import (
	"bytes"
	"os"
	"strconv"
)

// pfExiting is PF_EXITING of the kernel's include/linux/sched.h.
const pfExiting = 0x4

// Exiting reports whether a process is on its way out: its descriptors may be
// closed already, and its exit not yet be reported. So is one whose core is being dumped, which has its descriptors
// still (told since Linux 4.15). It is not known, and false, if /proc
// is missing or shows another PID namespace, in which the number is that of another process.
func Exiting(pid int) bool {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return false
	}
	stat, err := os.ReadFile(StatPath(pid))
	return err == nil && ExitingIn(stat) || dumping(pid)
}

// dumping is what proc_pid_status(5) says of it.
func dumping(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && bytes.Contains(status, []byte("\nCoreDumping:\t1\n"))
}

// StatPath is where the kernel keeps what ExitingIn is asked of.
func StatPath(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/stat" }

// ExitingIn is Exiting for whoever has read that file already.
func ExitingIn(stat []byte) bool {
	// proc_pid_stat(5): the command may contain anything, so fields count from its
	// last parenthesis. The flags are the ninth field of all, the seventh from there.
	field, rest, _ := bytes.Cut(bytes.TrimLeft(stat[bytes.LastIndexByte(stat, ')')+1:], " "), []byte(" "))
	for range 6 {
		field, rest, _ = bytes.Cut(rest, []byte(" "))
	}
	flags, err := strconv.ParseUint(string(field), 10, 64)
	return err == nil && flags&pfExiting != 0
}
