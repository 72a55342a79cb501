package child_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// stepsWorker does what its arguments say, one after the other.
func stepsWorker(w *child.Worker) error {
	r, wr := w.FDs()
	in, out := os.NewFile(uintptr(r), "in"), os.NewFile(uintptr(wr), "out")
	defer runtime.KeepAlive(in)
	for _, step := range os.Args[1:] {
		name, arg, _ := strings.Cut(step, ":")
		text, err := workerStep(w, in, name, arg)
		if err != nil {
			return err
		}
		if _, err := out.WriteString(text); err != nil {
			return err
		}
	}
	return nil
}

// workerStep does one step and returns what is to be said on the protocol.
func workerStep(w *child.Worker, in *os.File, name, arg string) (say string, err error) {
	n, _ := strconv.Atoi(arg)
	switch name {
	case "say":
		return arg, nil
	case "print": // to stdout, whatever that is
		fmt.Print(arg)
	case "stderr":
		fmt.Fprint(os.Stderr, arg)
	case "flood": // so many bytes to stdout and to stderr
		line := strings.Repeat("x", 1023) + "\n"
		for i := 0; i < n; i += len(line) {
			os.Stdout.WriteString(line)
			os.Stderr.WriteString(line)
		}
	case "name":
		return w.Name(), nil
	case "argv":
		return fmt.Sprintf("%q", os.Args), nil
	case "env":
		return strings.Join(os.Environ(), "\n"), nil
	case "dir":
		return os.Getwd()
	case "stdin":
		b, err := io.ReadAll(os.Stdin)
		return fmt.Sprint(len(b)), err
	case "flags":
		return flagsOf(w)
	case "fds":
		return listFDs()
	case "eof":
		_, err := io.Copy(io.Discard, in)
		return "", err
	case "nested":
		return nested()
	default:
		return "", endingStep(in, name, arg)
	}
	return "", nil
}

// endingStep is one of those that have to do with the end.
func endingStep(in *os.File, name, arg string) error {
	n, _ := strconv.Atoi(arg)
	switch name {
	case "close":
		return unix.Close(int(in.Fd()))
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM)
	case "leave-group": // for that of the parent
		group, err := unix.Getpgid(os.Getppid())
		if err != nil {
			return err
		}
		return unix.Setpgid(0, group)
	case "wait":
		time.Sleep(time.Hour) // until it is killed; select {} would be reported as a deadlock
	case "exit":
		os.Exit(n)
	case "signal":
		return syscall.Kill(os.Getpid(), syscall.Signal(n))
	case "goexit": // beside a goroutine that goes on
		go time.Sleep(time.Hour)
		runtime.Goexit()
	case "fail":
		return errors.New(arg)
	case "overflow": // of the stack, so that the runtime gives up
		debug.SetMaxStack(1 << 20)
		return fmt.Errorf("the sum is %d", overflow(n))
	case "deep-panic":
		deepPanic(30, arg)
	default:
		return fmt.Errorf("no step %q", name)
	}
	return nil
}

func overflow(n int) int {
	if n < 0 {
		return 0
	}
	return n + overflow(n+1)
}

// deepPanic panics below so many frames of its own.
func deepPanic(frames int, text string) {
	if frames == 0 {
		panic(text)
	}
	deepPanic(frames-1, text)
	runtime.KeepAlive(frames) // no loop is made of it
}

// flagsOf says whether the protocol's descriptors block and are closed on exec.
func flagsOf(w *child.Worker) (say string, err error) {
	r, wr := w.FDs()
	for _, fd := range []int{r, wr} {
		status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return "", err
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil {
			return "", err
		}
		say += fmt.Sprintf("fd>2:%v blocking:%v cloexec:%v ", fd > 2, status&unix.O_NONBLOCK == 0, flags&unix.FD_CLOEXEC != 0)
	}
	return say, nil
}

// listFDs names the descriptors that this process was given: all but those that
// the Go runtime opens for itself.
func listFDs() (string, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return "", err
	}
	var list []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		own := strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/") || strings.HasPrefix(target, "/proc/")
		if err == nil && !own {
			kind, _, _ := strings.Cut(target, ":")
			list = append(list, e.Name()+" "+kind)
		}
	}
	return strings.Join(list, ", "), nil
}

// nested starts a worker of the worker's own.
func nested() (say string, err error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return "", err
	}
	defer closeLoop(loop)
	proc, err := child.Start(loop, child.Config{Worker: "steps", Args: []string{"exit:7"}})
	if err != nil {
		return "", err
	}
	proc.OnExit(func(s child.ExitState) { say = s.String() })
	err = errors.Join(loop.Run(context.Background()), loop.Verify())
	return say, err
}

// forgetful is a program that starts a worker and has not called child.Main.
func forgetful() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeLoop(loop)
	_, err = child.Start(loop, child.Config{Worker: "steps", Args: []string{"wait"}})
	if broken := loop.Verify(); broken != nil {
		fmt.Println(broken)
	}
	fmt.Println(errors.Is(err, child.ErrNoMain), err)
}

// middle is a program that starts a worker, prints its pid, and stays.
func middle() {
	loop, err := reactor.New(reactor.Config{})
	if err == nil {
		var proc *child.Process
		proc, err = child.Start(loop, child.Config{Worker: "steps", Args: strings.Split(os.Getenv(envProgram+"_STEPS"), " "), DeathSignal: deathSignalFromEnv()})
		if err == nil {
			fmt.Println(proc.PID())
			err = loop.Run(context.Background())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func deathSignalFromEnv() syscall.Signal {
	n, _ := strconv.Atoi(os.Getenv(envProgram + "_SIGNAL"))
	return syscall.Signal(n)
}
