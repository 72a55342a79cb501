package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuDemand is how long each of the process's threads has run so far, or was ready
// to and waited for a processor: on a loaded machine a busy loop runs little, and
// waits the rest (/proc/PID/task/TID/schedstat, both in nanoseconds).
func cpuDemand(pid int) (demand, error) {
	dirs, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("/proc/%d: no process", pid)
	}
	all := demand{}
	for _, dir := range dirs {
		d, err := threadDemandOf(dir)
		switch {
		case err == nil:
			all[dir] = d
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH): // the thread has not ended meanwhile
			return nil, err
		}
	}
	return all, nil
}

func threadDemandOf(dir string) (d threadDemand, err error) {
	schedstat, err := os.ReadFile(dir + "/schedstat")
	if err != nil {
		return d, err
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return d, err
	}
	_, state, _ := strings.Cut(string(stat), ") ") // behind the name
	d.runnable = strings.HasPrefix(state, "R")
	for _, field := range strings.Fields(string(schedstat))[:2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return d, err
		}
		d.so += time.Duration(n)
	}
	return d, nil
}

// residentBytes is the process's resident set.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// limitFiles sets this process's own RLIMIT_NOFILE.
func limitFiles(n uint64) error {
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n})
}
