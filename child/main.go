package child

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// The variables that tell a child what it is. They are gone from its
// environment before a worker runs, so that its own children are not misled.
const (
	envWorker = "EVFORK_WORKER" // the worker's name
	envFDs    = "EVFORK_FDS"    // "3,4": where it reads and writes its protocol
)

// WorkerFunc is what a worker process does. When it returns nil the process
// exits with code 0, else it writes the error to stderr and exits with code 1. It does that, too, if the function calls runtime.Goexit.
type WorkerFunc func(w *Worker) error

// Workers are worker functions by name.
type Workers map[string]WorkerFunc

// registered is what Main was given. It is written once, and it is here and not
// in some value because Start must be able to refuse: a worker that is not
// registered, and any worker at all if main does not begin with Main.
var registered atomic.Pointer[Workers]

// Main runs the worker that this process was started as, and exits; if it was
// started as anything else, Main returns at once. It must be the first thing in
// main, and in TestMain of tests that start workers. It panics if it is called
// twice or if two registries have a name in common.
func Main(registries ...Workers) {
	all := make(Workers)
	for _, r := range registries {
		for name, fn := range r {
			if all[name] != nil {
				panic(fmt.Sprintf("child: two workers are named %q", name))
			}
			all[name] = fn
		}
	}
	if !registered.CompareAndSwap(nil, &all) {
		panic("child: Main was called twice")
	}
	if name, ok := os.LookupEnv(envWorker); ok {
		os.Exit(runWorker(name, all[name]))
	}
}

func runWorker(name string, fn WorkerFunc) int {
	defer endOfMain(name)
	w, err := becomeWorker(name)
	if err == nil && fn == nil {
		err = ErrUnknownWorker
	}
	if err == nil {
		err = fn(w)
	}
	if err != nil {
		return failed(name, err)
	}
	return 0
}

func failed(name string, err error) (code int) {
	fmt.Fprintf(os.Stderr, "worker %s: %v\n", name, err)
	return 1
}

// endOfMain is deferred, and ends the process after a Goexit: other goroutines would keep it, and its parent waiting, for ever. What
// it must not stop is a panic, not even for a moment: the report would say that it was recovered.
func endOfMain(name string) {
	pc, _, _, _ := runtime.Caller(1)
	if runtime.FuncForPC(pc).Name() == "runtime.Goexit" {
		os.Exit(failed(name, errors.New("it has called runtime.Goexit")))
	}
}

// becomeWorker takes what the parent left for this process and removes the traces.
func becomeWorker(name string) (*Worker, error) {
	fds := os.Getenv(envFDs)
	os.Unsetenv(envWorker)
	os.Unsetenv(envFDs)
	nameProcess(name)
	in, out, ok := strings.Cut(fds, ",")
	r, err1 := strconv.Atoi(in)
	w, err2 := strconv.Atoi(out)
	if err := errors.Join(err1, err2); !ok || err != nil {
		return nil, fmt.Errorf("%s=%q does not name two descriptors", envFDs, fds)
	}
	if r == 0 && w == 1 {
		var err error
		if r, w, err = moveStdio(); err != nil {
			return nil, err
		}
	}
	unix.CloseOnExec(r)
	unix.CloseOnExec(w)
	return &Worker{name: name, readFD: r, writeFD: w}, nil
}

// moveStdio moves the protocol away from stdin and stdout, where a stray Print
// would break it: stdin becomes empty, and stdout goes where stderr goes.
func moveStdio() (r, w int, err error) {
	if r, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return 0, 0, os.NewSyscallError("fcntl", err)
	}
	if w, err = unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return 0, 0, os.NewSyscallError("fcntl", err)
	}
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("open", err)
	}
	defer syscall.Close(null)
	if err = dup2(null, 0); err == nil {
		err = dup2(2, 1)
	}
	return r, w, os.NewSyscallError("dup2", err)
}

// checkWorker reports whether Start may start the worker name.
func checkWorker(name string) error {
	all := registered.Load()
	if all == nil || os.Getenv(envWorker) != "" {
		return ErrNoMain
	}
	if (*all)[name] == nil {
		return ErrUnknownWorker
	}
	return nil
}

// A Worker is the child's end of its transport.
type Worker struct {
	name            string
	readFD, writeFD int
}

// Name is the name under which the worker was started.
func (w *Worker) Name() string { return w.name }

// FDs are the descriptors of the protocol: blocking, closed on exec, and the
// caller's to close.
func (w *Worker) FDs() (readFD, writeFD int) { return w.readFD, w.writeFD }
