package child

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// Start starts a child on the loop. It blocks the loop for the time of a fork
// and an exec, one or two milliseconds. An error (ErrNoMain, ErrUnknownWorker,
// ErrConfig, reactor.ErrClosed, or what the OS said) means that nothing was
// started and nothing will be called back; or that the child was killed at once, for
// want of a descriptor to watch it by. The child is not forked by the calling thread: what Linux keeps for each thread, such as its
// affinity or nice value, it does not have from that one.
func Start(loop *reactor.Loop, config Config) (*Process, error) {
	config.applyDefaults()
	p, err := start(loop, config)
	if err != nil {
		return nil, &Error{Op: "start", Name: config.name(), Err: err}
	}
	return p, nil
}

func start(loop *reactor.Loop, config Config) (*Process, error) {
	path, argv, err := program(&config)
	if err != nil {
		return nil, err
	}
	home, err := nurseryOf(loop)
	if err != nil {
		return nil, err
	}
	files, err := openFiles(&config)
	if err != nil {
		return nil, err
	}
	defer files.closeChildEnds()
	pid, err := home.spawn(path, argv, files.attr(&config))
	if err != nil {
		files.closeOurEnds()
		return nil, notSpawned(path, config.Dir, err)
	}
	p := &Process{home: home, loop: loop, config: config, pid: pid, started: time.Now(), toChild: files.toChild, fromChild: files.fromChild}
	if err := p.watch(files); err != nil {
		p.kill(AskedByClose)
		p.abandon(abandonWait)
		return nil, err
	}
	home.processes[p] = struct{}{}
	return p, nil
}

// notSpawned names what could not be started, or the directory if that cannot be entered: the kernel's error may be about either, and a
// worker's name is not that of its program.
func notSpawned(path, dir string, err error) error {
	if dir != "" {
		// Who asks for "." inside it has to enter it.
		if _, unknown := os.Stat(dir + "/."); unknown != nil {
			return fmt.Errorf("chdir %s: %w", dir, err)
		}
	}
	return fmt.Errorf("spawn %s: %w", path, err)
}

// program finds what to execute, and checks the configuration.
func program(c *Config) (path string, argv []string, err error) {
	switch {
	case (c.Worker == "") == (c.Path == ""):
		return "", nil, fmt.Errorf("%w: exactly one of Worker and Path is required", ErrConfig)
	case c.Transport > Stdio:
		return "", nil, fmt.Errorf("%w: unknown transport %d", ErrConfig, c.Transport)
	case c.Worker != "":
		if err := checkWorker(c.Worker); err != nil {
			return "", nil, err
		}
		path, err = self()
		argv0 := path
		if len(os.Args) > 0 { // programs leave there what they have not parsed
			argv0 = os.Args[0]
		}
		return path, append([]string{argv0}, c.Args...), err
	}
	if path = c.Path; !strings.Contains(path, "/") {
		path, err = exec.LookPath(path)
	} // else exec finds it, from Dir
	return path, append([]string{c.Path}, c.Args...), err
}

// files are the descriptors of a child that is being started: ours, and those
// that will be its 0, 1, 2, … in this order.
type files struct {
	toChild, fromChild, stdout, stderr int // ours; stdout is -1 with Stdio
	child                              []int
}

// openFiles makes the pipes. On error nothing stays open.
func openFiles(c *Config) (f *files, err error) {
	f = &files{toChild: -1, fromChild: -1, stdout: -1, stderr: -1}
	defer func() {
		if err != nil {
			f.closeOurEnds()
			f.closeChildEnds()
		}
	}()
	var in, out, outW, errW int
	if in, f.toChild, err = newPipe(c.PipeSize); err != nil {
		return f, fmt.Errorf("pipe: %w", err)
	}
	f.child = append(f.child, in)
	if f.fromChild, out, err = newPipe(c.PipeSize); err != nil {
		return f, fmt.Errorf("pipe: %w", err)
	}
	f.child = append(f.child, out)
	if f.stderr, errW, err = newPipe(0); err != nil {
		return f, fmt.Errorf("pipe: %w", err)
	}
	f.child = append(f.child, errW) // in, out, err: just what Stdio wants
	if c.Transport == Stdio {
		return f, nil
	}
	if f.stdout, outW, err = newPipe(0); err != nil {
		return f, fmt.Errorf("pipe: %w", err)
	}
	f.child = []int{-1, outW, errW, in, out}
	if f.child[0], err = syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
		return f, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	return f, nil
}

func (f *files) attr(c *Config) *syscall.ProcAttr {
	attr := &syscall.ProcAttr{
		Dir: c.Dir,
		Env: environment(c),
		Sys: &syscall.SysProcAttr{Setpgid: !c.SharedGroup},
	}
	setDeathSignal(attr.Sys, c.DeathSignal)
	for _, fd := range f.child {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	return attr
}

func environment(c *Config) []string {
	env := c.Env
	if env == nil {
		env = os.Environ()
	}
	// A copy, without what this process may itself have been given: of two values
	// a child takes the first.
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		return strings.HasPrefix(entry, envFDs+"=") || strings.HasPrefix(entry, envWorker+"=")
	})
	fds := "3,4"
	if c.Transport == Stdio {
		fds = "0,1"
	}
	env = append(env, envFDs+"="+fds)
	if c.Worker != "" {
		env = append(env, envWorker+"="+c.Worker)
	}
	return env
}

func (f *files) closeChildEnds() { closeAll(f.child...) }
func (f *files) closeOurEnds()   { closeAll(f.toChild, f.fromChild, f.stdout, f.stderr) }

func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
