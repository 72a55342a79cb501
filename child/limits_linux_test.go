package child_test

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// noForeignFDs marks what this process was itself given to be closed on exec:
// what a careless parent of the tests has left open is not what is tested.
func noForeignFDs(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		fd := 0
		if fmt.Sscan(e.Name(), &fd); fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

func TestChildIsGivenItsDescriptorsAndNoOthers(t *testing.T) {
	f := newFixture(t)
	noForeignFDs(t)
	// Something to inherit: other children, files, sockets.
	f.start(steps("wait"))
	f.start(shell("sleep 1000"))
	file, err := os.Open(os.Args[0])
	must(t, err)
	defer file.Close()
	tests := []struct {
		transport child.Transport
		want      string
	}{
		{child.Pipes, "0 /dev/null, 1 pipe, 2 pipe, 3 pipe, 4 pipe"},
		// A Go worker has moved the protocol from 0 and 1 to the first free ones.
		{child.Stdio, "0 /dev/null, 1 pipe, 2 pipe, "},
	}
	for _, test := range tests {
		config := steps("fds")
		config.Transport = test.transport
		k := f.start(config)
		f.until(k.ended)
		if !strings.HasPrefix(k.data, test.want) || strings.Count(k.data, ",") != 4 || strings.Count(k.data, "pipe") != 4 {
			t.Errorf("transport %d: it has %s", test.transport, k.data)
		}
	}
}

func TestForeignProgramIsGivenItsDescriptorsAndNoOthers(t *testing.T) {
	for transport, want := range map[child.Transport]string{child.Pipes: "0 1 2 3 4 ", child.Stdio: "0 1 2 "} {
		f := newFixture(t)
		noForeignFDs(t)
		f.start(steps("wait"))
		// -L: the directory that the shell reads for the pattern is closed again.
		config := shell(`for f in /proc/$$/fd/*; do [ -L "$f" ] && printf '%s ' "${f##*/}"; done`)
		config.Transport = transport
		k := f.start(config)
		f.until(k.ended)
		if got := k.data + k.out.String(); got != want {
			t.Errorf("transport %d: it has %s", transport, got)
		}
	}
}

func TestPipeSizeIsTheKernels(t *testing.T) {
	f := newFixture(t)
	config := steps("wait")
	config.PipeSize = 4096
	k := f.start(config)
	r, w := k.stream.FDs()
	for _, fd := range []int{r, w} {
		if size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err != nil || size != 4096 {
			t.Errorf("a pipe holds %d bytes, %v", size, err)
		}
	}
}

func TestPipeSizeThatTheKernelRefusesIsAnError(t *testing.T) {
	f := newFixture(t)
	sizes := []int{math.MaxInt32}
	if bits := 32; strconv.IntSize > bits {
		sizes = append(sizes, 1<<bits) // which became 4096
	}
	for _, size := range sizes {
		config := steps("wait")
		config.PipeSize = size
		if _, err := child.Start(f.Loop, config); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EPERM) {
			t.Errorf("with %d Start returned %v", size, err)
		}
	}
}

// Wherever descriptors run out, Start returns the error and leaves nothing.
func TestStartWithoutDescriptorsLeavesNothing(t *testing.T) {
	f := newFixture(t)
	must(t, f.Run(t.Context()))
	f.start(steps()) // starts the spawner
	must(t, f.Run(t.Context()))
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	first, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	must(t, err)
	syscall.Close(first) // the lowest free number
	failed := 0
	for room := uint64(0); ; room++ {
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(first) + room, Max: old.Max}))
		before := f.Stats()
		proc, err := child.Start(f.Loop, steps())
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
		if err == nil {
			proc.Kill()
			break
		}
		failed++
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("with room for %d: %v", room, err)
		}
		if after := f.Stats(); after.Refs != before.Refs || after.Streams != before.Streams {
			t.Errorf("with room for %d: %+v are held, before %+v", room, after, before)
		}
		must(t, f.Verify())
	}
	if failed < 8 {
		t.Errorf("only %d descriptors are needed", failed)
	}
	must(t, f.Run(t.Context()))
}

// startMiddle starts a process of which only the pid of its worker is known, and
// a pidfd of that.
func startMiddle(t *testing.T, signal, steps string) (cmd *exec.Cmd, worker int) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envProgram+"=middle", envProgram+"_STEPS="+steps, envProgram+"_SIGNAL="+signal)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	pid := 0
	fmt.Sscan(line, &pid)
	worker, err = unix.PidfdOpen(pid, 0)
	must(t, err)
	return cmd, worker
}

// A worker never outlives its parent: the kernel kills it, or it sees the EOF.
func TestWorkerEndsWhenItsParentIsKilled(t *testing.T) {
	tests := []struct{ name, signal, steps string }{
		{"by the death signal", "0", "ignore-term wait"},
		{"by the EOF", fmt.Sprint(int(child.NoSignal)), "eof"},
		{"by a chosen death signal", "15", "wait"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			newFixture(t)
			cmd, worker := startMiddle(t, test.signal, test.steps)
			defer unix.Close(worker)
			must(t, cmd.Process.Kill())
			cmd.Wait()
			if !readable(worker) {
				t.Error("the worker lives on")
			}
		})
	}
}

// readable waits until fd is readable, and not for ever.
func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(guard.Milliseconds()))
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// tasks counts the threads of this process.
func tasks(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	must(t, err)
	return len(entries)
}

// A hundred children cost a thread, which spawned them, and no goroutine each;
// in the end nothing at all is left (the fixture looks for descriptors,
// goroutines and zombies).
func TestHundredChildrenLeaveNothing(t *testing.T) {
	f := newFixture(t)
	f.start(steps())
	must(t, f.Run(t.Context())) // with everything there that is made at first use
	before := tasks(t)
	var kids []*kid
	for i := range 100 {
		kids = append(kids, f.start([]child.Config{steps("eof", "exit:1"), steps("wait"), shell("read x"), steps("signal:9")}[i%4]))
	}
	if got := tasks(t); got > before+50 { // some may be the runtime's
		t.Errorf("a hundred children have taken %d threads", got-before)
	}
	for i, k := range kids {
		if i%4 == 1 {
			must(t, k.Kill())
		} else if i%4 != 3 {
			must(t, k.Stop())
		}
	}
	must(t, f.Run(t.Context()))
	for i, k := range kids {
		if k.exits != 1 || k.ends != 1 || k.state.Code != []int{1, -1, 1, -1}[i%4] {
			t.Errorf("child %d: OnExit was called %d times, OnEnd %d times, it %v", i, k.exits, k.ends, k.state)
		}
	}
}

// The spawner's thread ends with its loop.
func TestLoopsLeaveNoThread(t *testing.T) {
	newFixture(t)
	const loops = 30
	before := 0
	for i := range loops {
		loop, err := reactor.New(reactor.Config{})
		must(t, err)
		_, err = child.Start(loop, steps())
		must(t, err)
		must(t, loop.Run(t.Context()))
		must(t, loop.Verify())
		must(t, loop.Close())
		if i == loops/3 {
			before = tasks(t)
		}
	}
	for deadline := time.Now().Add(guard); tasks(t) > before+loops/3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) { // a thread that ends may take a while
			t.Fatalf("%d threads have become %d", before, tasks(t))
		}
	}
}
