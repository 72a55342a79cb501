package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// tracerWorker traces the process of its argument, and keeps what is left of it
// when it has exited until it is killed itself.
func tracerWorker(w *child.Worker) error {
	_, wr := w.FDs()
	out := os.NewFile(uintptr(wr), "out")
	pid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // a thread is what traces
	if _, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0, 0, 0); e != 0 {
		fmt.Fprintf(out, "refused: %v", e)
		return nil
	}
	fmt.Fprint(out, "traced")
	time.Sleep(time.Hour) // until it is killed
	return nil
}

// trace has a child of its own trace k, or skips the test.
func (f *fixture) trace(k *kid) (tracer *kid) {
	f.t.Helper()
	tracer = f.start(child.Config{Worker: "tracer", Args: []string{strconv.Itoa(k.PID())}, StartTimeout: guard})
	f.until(func() bool { return tracer.data != "" || tracer.ended() })
	if strings.HasPrefix(tracer.data, "refused") || tracer.ended() {
		must(f.t, f.Close())
		f.t.Skip("tracing is not allowed here: ", tracer.data, tracer.cause)
	}
	return tracer
}

// TestExitReportedBeforeItCanBeWaitedForIsWaitedFor has a tracer hold what is left
// of a child: its exit is reported, but wait4 has nothing yet. kqueues are like
// that by themselves (https://github.com/libuv/libuv/pull/3521).
func TestExitReportedBeforeItCanBeWaitedForIsWaitedFor(t *testing.T) {
	f := newFixture(t)
	k := f.start(shell("echo ready; read line; exit 3"))
	f.saw(k, "ready")
	tracer := f.trace(k)

	// This loop may be inside wait4 when the exit is reported: another one looks.
	early := make(chan error, 1)
	go func() { early <- letGo(k.PID(), tracer.PID()) }()
	k.stream.CloseWrite()
	f.until(func() bool { return k.ended() && tracer.ended() })
	must(t, <-early)
	if code := k.exitError(t).State.Code; k.ends != 1 || k.exits != 1 || code != 3 {
		t.Errorf("ended %d times, exited %d times with code %d", k.ends, k.exits, code)
	}
}

// letGo kills the tracer when the exit of a process is reported, after a look
// whether that can be waited for: it must not be.
func letGo(pid, tracer int) (err error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Kill(tracer, unix.SIGKILL), loop.Verify(), loop.Close()) }()
	exited := false
	if _, err := loop.WatchProcess(pid, func() { exited = true }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	if err := loop.RunUntil(ctx, func() bool { return exited }); err != nil {
		return err
	}
	if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); got != 0 || err != nil {
		return fmt.Errorf("it can be waited for already: %d, %w", got, err)
	}
	return nil
}

// Until a tracer had looked at a child that had exited, as a debugger does when its user goes on, the loop was blocked in wait4, and with it
// everything else on it, its Close included.
func TestLoopGoesOnWhileATracerHoldsAChildThatHasExited(t *testing.T) {
	elsewhere, f := newFixture(t), newFixture(t)
	k := f.start(shell("echo ready; read line; exit 3"))
	f.saw(k, "ready")
	tracer := elsewhere.trace(k)
	reported, late := false, make(chan struct{})
	watcher, err := f.WatchProcess(k.PID(), func() { reported = true })
	must(t, err)
	must(t, watcher.SetPriority(reactor.MinPriority)) // called when the child's own has been
	release := time.AfterFunc(guard, func() {
		close(late)
		_ = tracer.Kill()
	})
	k.stream.CloseWrite()
	f.until(func() bool { return reported })
	if !release.Stop() {
		<-late
		t.Error("the loop was blocked until the tracer was killed")
	}
	if k.exits != 0 || k.ends != 0 {
		t.Errorf("exited %d times, ended %d times, and nobody knows how", k.exits, k.ends)
	}
	must(t, k.Stop()) // which comes too late
	must(t, f.Poll(0))
	must(t, tracer.Kill())
	f.until(k.ended)
	if code := k.exitError(t).State.Code; k.ends != 1 || k.exits != 1 || code != 3 {
		t.Errorf("ended %d times, exited %d times with code %d", k.ends, k.exits, code)
	}
	must(t, elsewhere.Close())
}
