// Package exittest has a process for tests that begins to exit and takes its time:
// its first thread is gone, which is what a process is judged by, and another one
// goes on for as long as the test wants. Until then nobody can wait for it.
package exittest

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/waitpeek"
)

const env = "EVFORK_EXITTEST"

// Code is what the process exits with.
const Code = 3

// Main is for the first line of TestMain. It does not return if this process is
// such a process: the test binary itself is it.
func Main() {
	if os.Getenv(env) == "" {
		return
	}
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() { // not the first thread: there is only one after an exec
		panic(unix.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(Code)
	}()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // of this thread
}

// Environ is the environment in which the test binary is such a process, which then
// waits for a byte on its stdin to begin, and for the EOF to end.
func Environ() []string {
	// The race detector has every process sleep for a second before it exits.
	return append(os.Environ(), env+"=1", "GORACE=atexit_sleep_ms=0")
}

// A Process runs, until Begin; it is exiting, until End; then it can be waited for.
type Process struct {
	*exec.Cmd
	stdin io.WriteCloser
}

// Start starts one, which is reaped at the end of the test at the latest.
func Start(t testing.TB) *Process {
	t.Helper()
	p := &Process{Cmd: exec.Command("/proc/self/exe")}
	p.Env = Environ()
	p.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.End()
			_ = p.Wait()
		}
	})
	return p
}

// Begin has it begin to exit, and returns when it has.
func (p *Process) Begin(t testing.TB) {
	t.Helper()
	if _, err := p.stdin.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	for !waitpeek.Exiting(p.Process.Pid) {
		_, _ = unix.Poll(nil, 1) // not to spin
	}
}

// End has it exit altogether, soon.
func (p *Process) End() { _ = p.stdin.Close() }
