package leaktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// settleRuntime makes the Go runtime open the descriptors of its own poller,
// which it does when the first pollable file is opened, and keeps for ever.
func settleRuntime() {
	r, w, err := os.Pipe()
	if err == nil {
		r.Close()
		w.Close()
	}
}

// openFDs identifies a descriptor by its number and target, so that one that was
// closed and opened again as something else is new.
func openFDs() map[string]string {
	const dir = "/proc/self/fd"
	found := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return found
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(target, "/proc/") {
			continue // closed meanwhile: it was ReadDir's own; or it still is
		}
		id := e.Name() + " → " + target
		found[id] = "fd " + id
	}
	return found
}

// children walks /proc for processes whose parent we are, dead or alive. Usually
// there is none, which one system call tells.
func children() map[string]string {
	found := make(map[string]string)
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	if errors.Is(err, unix.ECHILD) {
		return found
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return found
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		// "pid (name) state ppid …": the name may contain anything, ')' too.
		stat := string(raw)
		open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
		if open < 0 || end < open {
			continue
		}
		fields := strings.Fields(stat[end+1:])
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		pid := strings.TrimSpace(stat[:open])
		found[pid] = fmt.Sprintf("pid %s (%s), %s", pid, stat[open+1:end], stateName(fields[0]))
	}
	return found
}

func stateName(letter string) string {
	switch letter {
	case "Z":
		return "a zombie: it was not reaped"
	case "T", "t":
		return "stopped"
	default:
		return "alive in state " + letter
	}
}
