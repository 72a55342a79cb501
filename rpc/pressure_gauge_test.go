package rpc_test

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gauge is what the processes of a pressure test let each other know, in a file that all
// of them have mapped: one that is stopped can still be asked. Sizes are in bytes of payload.
type gauge struct {
	made, handled     atomic.Int64 // of requests, by the parent and by the child
	emitted, received atomic.Int64 // of replies and events, by the child and by the parent

	requestsMost atomic.Int64 // that were made and not handled
	repliesMost  atomic.Int64 // and events that were emitted and not received
	parentMost   atomic.Int64 // that the parent had queued, as its loop's Stats say
	childMost    atomic.Int64 // that the child had queued, as its loop's Stats say; 0 without a loop

	parentPeak, childPeak atomic.Int64 // of resident memory; 0 if the OS does not tell

	childPID   atomic.Int64
	parentFull atomic.Bool  // the parent waits for room
	stops      atomic.Int64 // how often a process has stopped itself
	continued  atomic.Int64 // the last of these stops that is over
	asked      atomic.Int64 // the stop at which the child should tell when it can write no more
	stuck      atomic.Int64 // the last such stop
}

// openGauge maps the gauge in a file, which it makes if there is none.
func openGauge(path string) (*gauge, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size := int(unsafe.Sizeof(gauge{}))
	if err := file.Truncate(int64(size)); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*gauge)(unsafe.Pointer(&memory[0])), nil
}

// close unmaps it.
func (g *gauge) close() error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(g)), unsafe.Sizeof(*g)))
}

// progress changes whenever something happens.
func (g *gauge) progress() int64 {
	return g.made.Load() + g.handled.Load() + g.emitted.Load() + g.received.Load() + g.stops.Load() + g.stuck.Load()
}

// raise makes most at least n.
func raise(most *atomic.Int64, n int64) {
	for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
	}
}

// stopSelf stops this process, and tells so. Other goroutines can run on for a moment. So could this
// one, to the end of the test, if it did not wait: the kernel gives the signal to a thread of its choice.
func (g *gauge) stopSelf() error {
	stop := g.stops.Add(1)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return err
	}
	pollUntil(func() bool { return g.continued.Load() >= stop })
	return nil
}

// isStopped reports whether a process is stopped, and whether the OS says so: where it does not
// the process is taken to be.
func isStopped(pid int) (stopped, told bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true, false
	}
	_, state, found := bytes.Cut(stat, []byte(") "))
	return !found || len(state) == 0 || state[0] == 'T', true
}

// peakMemory is the most memory that this process has had, in bytes; 0 where the OS
// does not tell.
func peakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, value, found := bytes.Cut(status, []byte("\nVmHWM:"))
	fields := bytes.Fields(value)
	if !found || len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kilobytes << 10
}
