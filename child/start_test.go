package child_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// Nothing was started, nothing is called back, nothing is left.
func TestStartThatCannotBeIsAnError(t *testing.T) {
	tests := []struct {
		name   string
		config child.Config
		is     []error // any of them
	}{
		{"neither worker nor path", child.Config{}, []error{child.ErrConfig}},
		{"worker and path", child.Config{Worker: "steps", Path: "sh"}, []error{child.ErrConfig}},
		{"unknown transport", child.Config{Worker: "steps", Transport: 99}, []error{child.ErrConfig}},
		{"unknown worker", child.Config{Worker: "nobody"}, []error{child.ErrUnknownWorker}},
		{"program not in PATH", child.Config{Path: "no-such-program"}, []error{exec.ErrNotFound}},
		{"no such file", child.Config{Path: "/no/such/program"}, []error{fs.ErrNotExist}},
		{"file that is no program", child.Config{Path: "start_test.go"}, []error{exec.ErrNotFound, fs.ErrPermission}},
		{"directory that does not exist", child.Config{Worker: "steps", Dir: "/no/such/directory"}, []error{fs.ErrNotExist}},
		{"argument with a NUL", child.Config{Path: "sh", Args: []string{"a\x00b"}}, []error{syscall.EINVAL}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			called := func([]byte) { t.Error("called back") }
			test.config.OnStdout, test.config.OnStderr = called, called
			proc, err := child.Start(f.Loop, test.config)
			var e *child.Error
			if proc != nil || !errors.As(err, &e) || e.Op != "start" || e.PID != 0 {
				t.Errorf("Start returned %v, %v", proc, err)
			}
			if !slices.ContainsFunc(test.is, func(target error) bool { return errors.Is(err, target) }) {
				t.Errorf("%v is none of %v", err, test.is)
			}
			must(t, f.Run(t.Context()))
		})
	}
}

func TestStartOnAClosedLoopIsAnError(t *testing.T) {
	f := newFixture(t)
	must(t, f.Close())
	if _, err := child.Start(f.Loop, steps("wait")); !errors.Is(err, reactor.ErrClosed) {
		t.Errorf("Start returned %v", err)
	}
}

// Otherwise it would start itself, which would start itself.
func TestProgramThatForgotMainStartsNoWorker(t *testing.T) {
	newFixture(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envProgram+"=forgetful")
	out, err := cmd.CombinedOutput()
	must(t, err)
	if !strings.HasPrefix(string(out), "true ") || !strings.Contains(string(out), "child.Main was not called") {
		t.Errorf("it printed %s", out)
	}
}

func TestMainTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	child.Main()
}

func TestMainPanicsOnTwoWorkersOfOneName(t *testing.T) {
	defer func() {
		if r, ok := recover().(string); !ok || !strings.Contains(r, `two workers are named "a"`) {
			t.Errorf("it panicked with %q", r)
		}
	}()
	nothing := func(*child.Worker) error { return nil }
	child.Main(child.Workers{"a": nothing}, child.Workers{"a": nothing})
}

func TestWorkerIsGivenItsArgumentsAndNothingElse(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("name:", "say: ", "argv:"))
	f.until(k.ended)
	if want := `steps ["` + os.Args[0] + `" "name:" "say: " "argv:"]`; k.data != want {
		t.Errorf("it says %s, not %s", k.data, want)
	}
}

func TestWorkerDoesNotSeeWhatMadeItOne(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("env"))
	f.until(k.ended)
	if strings.Contains(k.data, "EVFORK_WORKER") || strings.Contains(k.data, "EVFORK_FDS") {
		t.Errorf("its environment is %s", k.data)
	}
	if !strings.Contains(k.data, "PATH=") {
		t.Errorf("it did not inherit the environment: %s", k.data)
	}
}

func TestEnvironmentIsWhatWasAskedFor(t *testing.T) {
	f := newFixture(t)
	config := steps("env")
	config.Env = append(make([]string, 0, 10), "GREETING=hello", "GORACE="+os.Getenv("GORACE"))
	k := f.start(config)
	f.until(k.ended)
	if k.data != strings.Join(config.Env, "\n") {
		t.Errorf("the environment is %q", k.data)
	}
	if rest := config.Env[:4]; rest[2] != "" || rest[3] != "" {
		t.Errorf("the caller's array was written to: %q", rest)
	}
}

func TestForeignProgramIsToldItsDescriptors(t *testing.T) {
	for transport, want := range map[child.Transport]string{child.Pipes: "3,4\n", child.Stdio: "0,1\n"} {
		f := newFixture(t)
		config := shell("echo $EVFORK_FDS; echo ${EVFORK_WORKER-none} >&2")
		config.Transport = transport
		k := f.start(config)
		f.until(k.ended)
		if said := k.data + k.out.String(); said != want || k.err.String() != "none\n" {
			t.Errorf("it was told %q and %q", said, k.err.String())
		}
	}
}

func TestDirIsTheWorkingDirectory(t *testing.T) {
	f := newFixture(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	config := steps("dir")
	config.Dir = dir
	k := f.start(config)
	f.until(k.ended)
	if k.data != dir {
		t.Errorf("it works in %s, not in %s", k.data, dir)
	}
}

func TestWorkerMayStartWorkers(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("nested"))
	f.until(k.ended)
	if k.data != "exited with code 7" {
		t.Errorf("the worker's worker %s; the worker: %v", k.data, k.cause)
	}
}

func TestWorkersOfAllRegistriesAreFound(t *testing.T) {
	f := newFixture(t)
	k := f.start(child.Config{Worker: "greeter", Args: []string{"you"}})
	f.until(k.ended)
	if k.data != "hello, you\n" {
		t.Errorf("it says %q", k.data)
	}
}

func TestWorkersDescriptorsBlockAndAreNotInherited(t *testing.T) {
	for _, transport := range []child.Transport{child.Pipes, child.Stdio} {
		f := newFixture(t)
		config := steps("flags")
		config.Transport = transport
		k := f.start(config)
		f.until(k.ended)
		if want := strings.Repeat("fd>2:true blocking:true cloexec:true ", 2); k.data != want {
			t.Errorf("transport %d: %s", transport, k.data)
		}
	}
}

// What a worker on Stdio prints is not taken for its protocol.
func TestWorkerOnStdioPrintsToStderr(t *testing.T) {
	f := newFixture(t)
	config := steps("print:by the way", "say:protocol", "stdin", "stderr:.")
	config.Transport = child.Stdio
	k := f.start(config)
	f.until(k.ended)
	if k.data != "protocol0" || k.err.String() != "by the way." {
		t.Errorf("protocol %q, stderr %q", k.data, k.err.String())
	}
}

func TestProtocolCarriesBytesBothWays(t *testing.T) {
	f := newFixture(t)
	k := f.start(child.Config{Path: "cat", Transport: child.Stdio})
	text := strings.Repeat("0123456789\n", 100_000)
	must(t, k.stream.Write([]byte(text)))
	k.stream.CloseWrite()
	f.until(k.ended)
	if k.data != text || !k.eof {
		t.Errorf("%d of %d bytes came back, EOF %v", len(k.data), len(text), k.eof)
	}
}

func TestNothingIsReadBeforeTheTransportIsOpened(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(shell("echo early; echo done >&2; cat"))
	f.until(func() bool { return k.err.Len() > 0 })
	data := ""
	_, err := k.Open(reactor.StreamConfig{OnData: func(d []byte) { data += string(d) }})
	must(t, err)
	f.until(func() bool { return data == "early\n" })
}

func TestTransportIsOpenedOnce(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("wait"))
	if _, err := k.Open(reactor.StreamConfig{}); !errors.Is(err, child.ErrClaimed) {
		t.Errorf("the second Open returned %v", err)
	}
}

func TestTransportOfAnExitedChildIsNotOpened(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(steps())
	f.until(k.ended)
	_, err := k.Open(reactor.StreamConfig{})
	var e *child.Error
	if !errors.Is(err, child.ErrExited) || !errors.As(err, &e) || e.PID != k.PID() {
		t.Errorf("Open returned %v", err)
	}
}
