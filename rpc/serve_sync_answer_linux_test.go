package rpc_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/rpc"
)

// A sync server whose handler waited for another goroutine's answer never heard on macOS that its parent was gone.
func TestSyncServerThatWaitsForAnAnswerEndsWithItsParentOnDarwin(t *testing.T) {
	poll := func(fds []unix.PollFd, timeout int) (int, error) {
		return kqsim.Poll(fds, time.Duration(timeout)*time.Millisecond)
	}
	p := newPatientOf(t, rpc.Evfork, poll, func(handler rpc.Handler) rpc.Handler { return handler })
	receive(t, p.begun, 1)
	must(t, p.out.Close())
	must(t, p.in.Close())
	receive(t, p.told, 1)
	if err := receive(t, p.served, 1)[0]; err == nil {
		t.Error("the server says that all is well")
	}
}

// A sync server whose input and output are one socket waited on when its parent was gone.
func TestSyncServerOnASocketThatWaitsForAnAnswerEndsWithItsParent(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync} {
		t.Run(wire.String(), func(t *testing.T) {
			p := newPatientOnASocket(t, wire)
			receive(t, p.begun, 1)
			must(t, p.in.Close())
			receive(t, p.told, 1)
			if err := receive(t, p.served, 1)[0]; err == nil {
				t.Error("the server says that all is well")
			}
		})
	}
}
