package child_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// reapingPoller takes the exit status of a child while its descriptors are registered: before it is watched.
type reapingPoller struct {
	poller.Poller
	armed bool
}

// Add implements poller.Poller.
func (p *reapingPoller) Add(fd int, gen uint32, interest poller.Interest) error {
	for p.armed {
		_, err := syscall.Wait4(-1, nil, 0, nil)
		p.armed = err == syscall.EINTR
	}
	return p.Poller.Add(fd, gen, interest)
}

// A program that reaps whatever there is, as process 1 of a container does, or ignores SIGCHLD, may be faster than Start, which
// said then that nothing had been started: who tried again did the work twice.
func TestProcessReapedBeforeItIsWatchedHasBeenStarted(t *testing.T) {
	real, err := poller.Open("")
	must(t, err)
	reaping := &reapingPoller{Poller: real}
	f := newFixtureWith(t, reactor.Config{Poller: reaping})
	reaping.armed = true
	k := f.startUnclaimed(shell("echo so >&2; exit 3"))
	f.until(k.ended)
	if k.state.Known || k.err.String() != "so\n" || k.exits != 1 || k.ends != 1 {
		t.Errorf("the state is %+v, after %q; exited %d times, ended %d times", k.state, k.err.String(), k.exits, k.ends)
	}
}

// A program that was itself started as a child has EVFORK_FDS in its
// environment. Its workers got that one and not their own: the first counts.
func TestWorkerIsNotMisledByTheEnvironment(t *testing.T) {
	for _, transport := range []child.Transport{child.Pipes, child.Stdio} {
		f := newFixture(t)
		config := steps("env", "flags")
		config.Transport = transport
		config.Env = []string{"EVFORK_FDS=7,8", "EVFORK_WORKER=nobody", "A=b", "GORACE=" + os.Getenv("GORACE")}
		k := f.start(config)
		f.until(k.ended)
		if !strings.HasPrefix(k.data, "A=b") || !k.state.Success() {
			t.Errorf("it says %q: %v", k.data, k.cause)
		}
	}
}

// The same for other programs, which are no workers.
func TestForeignProgramIsNotMisledByTheEnvironment(t *testing.T) {
	f := newFixture(t)
	config := shell("env | grep EVFORK")
	config.Env = []string{"EVFORK_FDS=7,8", "EVFORK_WORKER=steps", "PATH=/usr/bin:/bin"}
	k := f.start(config)
	f.until(k.ended)
	if k.data != "EVFORK_FDS=0,1\n" {
		t.Errorf("its environment is %q", k.data)
	}
}

// Whoever asked for the end of a child that closed its pipe was said to be nobody.
func TestChildThatClosedItsPipeIsEndedByUs(t *testing.T) {
	f := newFixture(t)
	config := steps("close", "wait")
	config.Ladder = atOnce
	k := f.start(config)
	f.until(k.ended)
	if !errors.Is(k.cause, child.ErrClosedPipe) || k.state.Asked != child.AskedByAbort {
		t.Errorf("%v, asked for by %d", k.cause, k.state.Asked)
	}
}

// A panic in OnExit kept OnEnd, and with it every call, from ending, and left
// the pipes of an unclaimed transport open.
func TestPanicInOnExitLeavesNothing(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(steps())
	k.OnExit(func(child.ExitState) { panic("in OnExit") })
	ends := 0
	k.OnEnd(func(error) { ends++ })
	func() {
		defer func() { recover() }()
		f.Run(t.Context())
	}()
	if ends != 1 {
		t.Errorf("OnEnd was called %d times", ends)
	}
}

// What a grandchild writes without end was drained without end: the loop hung.
func TestGrandchildThatWritesForEverDoesNotHangTheLoop(t *testing.T) {
	for _, stream := range []string{"1", "2"} {
		t.Run("stream "+stream, func(t *testing.T) {
			f := newFixture(t)
			config := shell(fmt.Sprintf("exec 3>&%s; for i in 1 2 3; do yes >&3 & done; sleep 0.1; exit 3", stream))
			drop := func([]byte) {} // it may be much
			config.OnStderr = drop
			k := f.startUnclaimed(config)
			_, err := k.Open(reactor.StreamConfig{OnData: drop})
			must(t, err)
			k.Ready()
			f.until(k.ended)
			if k.state.Code != 3 {
				t.Errorf("it %v", k.state)
			}
		})
	}
}

// When reading the protocol failed otherwise than by an EOF, nobody took it for
// the end: a child that went on running was never put down.
func TestChildWhoseProtocolCannotBeReadIsPutDown(t *testing.T) {
	f := newFixture(t)
	config := steps("wait")
	config.Ladder = atOnce
	k := f.start(config)
	failReading(t, k.stream)
	f.until(k.ended)
	if !errors.Is(k.cause, syscall.EISDIR) || errors.Is(k.cause, child.ErrClosedPipe) {
		t.Errorf("it ended with %v", k.cause)
	}
}

// failReading has a stream read a directory, which fails with EISDIR.
func failReading(t *testing.T, s *reactor.Stream) {
	t.Helper()
	dir, err := unix.Open(".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(dir)
	r, _ := s.FDs()
	must(t, unix.Dup2(dir, r))
	s.Drain()
}

// A child to which could not be written for want of memory, say, and which did not exit at the EOF, was said to have closed its pipe.
func TestChildWhoseProtocolCannotBeWrittenIsNotBlamed(t *testing.T) {
	f := newFixture(t)
	config := steps("wait")
	config.Ladder = atOnce
	k := f.start(config)
	dir, err := unix.Open(".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(dir)
	_, w := k.stream.FDs()
	must(t, unix.Dup2(dir, w)) // cannot be written: EBADF
	must(t, k.stream.Write([]byte("x")))
	f.until(k.ended)
	if !errors.Is(k.cause, syscall.EBADF) || errors.Is(k.cause, child.ErrClosedPipe) {
		t.Errorf("it ended with %v", k.cause)
	}
}

// A StderrTail of which the double overflows, which means "everything", was a panic.
func TestLongestTailOfStderrIsAllOfIt(t *testing.T) {
	f := newFixture(t)
	config := steps("flood:10000", "stderr:the last words")
	config.StderrTail = math.MaxInt
	k := f.start(config)
	f.until(k.ended)
	if got := string(k.state.Stderr); got != k.err.String() || len(got) < 10000 {
		t.Errorf("%d bytes are kept of %d", len(got), k.err.Len())
	}
}

// A child that had moved to another process group was not signalled at all: Kill
// returned ESRCH, and Stop and Close waited for it in vain.
func TestChildThatHasLeftItsGroupIsStillSignalled(t *testing.T) {
	ends := map[string]struct {
		end  func(k *kid) error
		want syscall.Signal
	}{
		"Kill":    {func(k *kid) error { return k.Kill() }, syscall.SIGKILL},
		"SIGTERM": {func(k *kid) error { return k.StopWith(child.Ladder{CloseWait: -1, TermWait: guard}) }, syscall.SIGTERM},
		"SIGKILL": {func(k *kid) error { return k.StopWith(atOnce) }, syscall.SIGKILL},
	}
	for name, test := range ends {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			k := f.start(steps("leave-group", "say:there", "wait"))
			f.saw(k, "there")
			must(t, test.end(k))
			f.until(k.ended)
			if k.state.Signal != test.want {
				t.Errorf("it %v", k.state)
			}
		})
	}
}

// A relative Path was looked for from this process's directory, and executed from Dir:
// it had to be in both.
func TestRelativePathBeginsAtDir(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o700))
	must(t, os.Symlink("/bin/sh", filepath.Join(dir, "bin", "here")))
	config := shell("pwd")
	config.Path, config.Dir = "bin/here", dir
	k := f.start(config)
	f.until(k.ended)
	if real, err := filepath.EvalSymlinks(dir); err != nil || k.data != real+"\n" {
		t.Errorf("it ran in %q, want %s, %v", k.data, real, err)
	}
}

// The first child of a loop could be started while the loop was shut down. Nobody told it
// to end, and Shutdown waited for it.
func TestFirstChildIsNotStartedWhileShuttingDown(t *testing.T) {
	f := newFixture(t)
	s, err := f.NewStream(-1, unreadPipe(t), reactor.StreamConfig{})
	must(t, err)
	must(t, s.Write(make([]byte, 1<<20))) // for which Shutdown waits
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	f.AfterFunc(0, func() {
		_, err = child.Start(f.Loop, steps("wait"))
		cancel()
	})
	if done := f.Shutdown(ctx); !errors.Is(done, context.Canceled) || !errors.Is(err, reactor.ErrClosed) {
		t.Errorf("Start returned %v, Shutdown %v", err, done)
	}
}

// unreadPipe returns the write end of a pipe from which nobody reads.
func unreadPipe(t *testing.T) int {
	t.Helper()
	var fds [2]int
	must(t, unix.Pipe(fds[:]))
	t.Cleanup(func() { unix.Close(fds[0]) })
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds[1]
}

// A child whose handshake had come in time was put down if much else was ready, of which one wait reports a part:
// hundreds of workers that were started together, one after the other, for longer than the start timeout.
func TestHandshakeThatCameInTimeIsSeenThoughMuchIsReady(t *testing.T) {
	clock := reactortest.NewClock()
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	for range 100 { // the first wait reports 32
		r, w := fdtest.Pipe(t)
		p := fdtest.End{Read: r, Write: w}
		t.Cleanup(p.Close)
		p.Send(t, []byte("x"))
		watcher, err := f.WatchFD(p.Read, reactor.Read, func(reactor.Ready) {})
		must(t, err)
		t.Cleanup(func() { watcher.Stop() })
	}
	k := f.startUnclaimed(steps("say:hello", "eof"))
	s, err := k.Open(reactor.StreamConfig{OnData: func([]byte) { k.Ready() }})
	must(t, err)
	r, _ := s.FDs()
	fdtest.Await(t, r, unix.POLLIN)
	clock.Advance(2 * guard)
	must(t, f.Poll(0))
	s.CloseWrite()
	f.until(k.ended)
	if k.state.Code != 0 || k.state.Asked != child.AskedByNobody {
		t.Errorf("it %v", k.cause)
	}
}

// The error of a Start in a directory that does not exist, or is none, read as if it were about the program.
func TestErrorOfAStartNamesTheDirectoryThatIsNone(t *testing.T) {
	f := newFixture(t)
	for _, dir := range []string{"/no/such/directory", "regress_test.go"} {
		config := steps("wait")
		config.Dir = dir
		_, err := child.Start(f.Loop, config)
		if errno, ok := errors.AsType[syscall.Errno](err); !ok || !strings.Contains(err.Error(), "chdir "+dir+": "+errno.Error()) {
			t.Errorf("Start in %s returned %v", dir, err)
		}
	}
	config := child.Config{Path: "/no/such/program", Dir: t.TempDir()}
	if _, err := child.Start(f.Loop, config); err == nil || strings.Contains(err.Error(), "chdir") {
		t.Errorf("Start of no program returned %v", err)
	}
}

// Start panicked in a program that leaves in os.Args what it has not parsed (os.Args = flag.Args()), if that was nothing.
func TestProgramMayHaveTakenAllOfItsArguments(t *testing.T) {
	f := newFixture(t)
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = nil
	k := f.start(steps("say:hello"))
	f.until(k.ended)
	if k.data != "hello" || !k.state.Success() {
		t.Errorf("it said %q and %v", k.data, k.state)
	}
}

// The lines that a Reader held when its child exited, because the stream was paused, were lost.
func TestLinesOfAPausedStreamComeBeforeTheEnd(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(shell("echo a; echo b; echo c"))
	s, err := k.Open(reactor.StreamConfig{})
	must(t, err)
	must(t, s.Reader().Each(reactor.Line(0), func(line []byte) {
		k.data += string(line)
		must(t, s.Pause()) // until there is room for more
	}))
	seen := ""
	k.OnExit(func(child.ExitState) { seen = k.data })
	f.until(k.ended)
	if seen != "abc" {
		t.Errorf("%q had come", seen)
	}
}

// What a worker is started by had to be guessed.
func TestErrorOfAStartNamesTheProgram(t *testing.T) {
	f := newFixture(t)
	config := steps(strings.Repeat("x", 8<<20)) // more than any system takes
	if _, err := child.Start(f.Loop, config); !errors.Is(err, syscall.E2BIG) || !strings.Contains(err.Error(), "spawn /") {
		t.Errorf("with too much for the program: %v", err)
	}
}

// A worker that called runtime.Goexit beside goroutines that went on lived on, with its end of the protocol open: who had called it waited
// for ever. Without other goroutines it was a crash of the runtime's.
func TestGoexitOfAWorkerIsItsEnd(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("goexit"))
	f.until(k.ended)
	if k.state.Code != 1 || !strings.Contains(k.err.String(), "worker steps: it has called runtime.Goexit") {
		t.Errorf("it %v, and wrote %q", k.state, k.err.String())
	}
}
