package reactor_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

func TestOpErrorSaysWhatWasDoneToWhichDescriptor(t *testing.T) {
	for want, err := range map[string]*reactor.OpError{
		"reactor: watch fd 7: file exists":                    {Op: "watch", FD: 7, Err: unix.EEXIST},
		"reactor: pidfd_open: no such process":                {Op: "pidfd_open", FD: -1, Err: unix.ESRCH},
		"reactor: set non-blocking fd 0: bad file descriptor": {Op: "set non-blocking", FD: 0, Err: unix.EBADF},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !errors.Is(err, err.Err) {
			t.Errorf("%v does not unwrap to its cause", err)
		}
	}
}

func TestLoopNamesItsPoller(t *testing.T) {
	if name := newLoop(t).Backend(); name == "" {
		t.Error("it has no name")
	}
}
