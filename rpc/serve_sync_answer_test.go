package rpc_test

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// patient is a sync server in this process that answers doubles later, and has its parent, the test, at the other ends of
// two pipes.
type patient struct {
	t       *testing.T
	in, out *os.File // the parent's ends
	begun   chan rpc.Answer[int]
	told    chan error
	served  chan error
}

func newPatient(t *testing.T, wire rpc.Wire) *patient {
	t.Helper()
	return newPatientOf(t, wire, unix.Poll, func(handler rpc.Handler) rpc.Handler { return handler })
}

// newPatientOf makes one on a kernel with that poll(2), and with another handler around that of its Mux.
func newPatientOf(t *testing.T, wire rpc.Wire, poll func([]unix.PollFd, int) (int, error), around func(rpc.Handler) rpc.Handler) *patient {
	t.Helper()
	f := newFixture(t)
	var in, out [2]int
	must(t, unix.Pipe(in[:]))
	must(t, unix.Pipe(out[:]))
	p := &patient{t: t, in: fileOf(in[1]), out: fileOf(out[0])}
	p.serve(f, wire, twoFDs{in[0], out[1]}, poll, around)
	return p
}

// newPatientOnASocket makes one that reads and writes the same descriptor.
func newPatientOnASocket(t *testing.T, wire rpc.Wire) *patient {
	t.Helper()
	f := newFixture(t)
	ours, theirs := socketpair(t)
	p := &patient{t: t, in: fileOf(ours)}
	p.out = p.in
	p.serve(f, wire, twoFDs{theirs, theirs}, unix.Poll, func(handler rpc.Handler) rpc.Handler { return handler })
	return p
}

// serve has the server begin a call.
func (p *patient) serve(f *fixture, wire rpc.Wire, fds twoFDs, poll func([]unix.PollFd, int) (int, error), around func(rpc.Handler) rpc.Handler) {
	p.t.Helper()
	p.begun, p.told, p.served = make(chan rpc.Answer[int], 1), make(chan error, 1), make(chan error, 1)
	mux := rpc.NewMux()
	double.HandleAsync(mux, func(j job, answer rpc.Answer[int]) {
		answer.OnCancel(func(err error) { p.told <- err })
		p.begun <- answer
	})
	f.servers.Go(func() {
		defer unix.Close(fds.r)
		if fds.w != fds.r {
			defer unix.Close(fds.w)
		}
		s, err := rpc.NewServer(fds, rpc.ServerConfig{Wire: wire})
		if err == nil {
			rpc.SetPoll(s, poll)
			err = s.ServeSync(around(mux.Sync()))
		}
		p.served <- err
	})
	p.t.Cleanup(func() {
		p.in.Close()
		p.out.Close()
	})
	greeting, heard := "", ""
	if wire == rpc.Evfork {
		greeting, heard = clientHello, ourHello
	}
	p.say(greeting + frame(1, string(rpc.Strings(double.Name(), "{}", "json"))))
	if got := readBytes(p.out, len(heard)); got != heard {
		p.t.Errorf("the server says %q", got)
	}
}

// twoFDs is a pair of pipe ends as rpc.FDs.
type twoFDs struct{ r, w int }

func (p twoFDs) FDs() (readFD, writeFD int) { return p.r, p.w }

func (p *patient) say(text string) {
	p.t.Helper()
	_, err := p.in.WriteString(text)
	must(p.t, err)
}

// A sync server whose handler waited for another goroutine's answer waited on when its parent was gone.
func TestSyncServerThatWaitsForAnAnswerEndsWithItsParent(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync} {
		t.Run(wire.String(), func(t *testing.T) {
			p := newPatient(t, wire)
			answer := receive(t, p.begun, 1)[0]
			must(t, p.out.Close())
			must(t, p.in.Close())
			receive(t, p.told, 1)
			if err := receive(t, p.served, 1)[0]; err == nil {
				t.Error("the server says that all is well")
			}
			if err := answer.Reply(1); err != rpc.ErrDone {
				t.Errorf("a late answer: %v", err)
			}
		})
	}
}

// Of a socket that is input and output, too, the end of the input alone is not the parent's.
func TestSyncServerOnASocketGivesAnAnswerAfterTheEndOfTheInput(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync} {
		t.Run(wire.String(), func(t *testing.T) {
			p := newPatientOnASocket(t, wire)
			answer := receive(t, p.begun, 1)[0]
			must(t, unix.Shutdown(int(p.in.Fd()), unix.SHUT_WR))
			must(t, answer.Reply(7))
			if got := readToEnd(p.out); len(got) < 8 || got[3] != 1 {
				t.Errorf("the server says %q", got)
			}
			if err := receive(t, p.served, 1)[0]; err != nil || len(p.told) > 0 {
				t.Errorf("the server returned %v, the handler was told %d times", err, len(p.told))
			}
		})
	}
}

// The end of the input alone says that no calls follow.
func TestSyncServerGivesAnAnswerAfterTheEndOfTheInput(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync} {
		t.Run(wire.String(), func(t *testing.T) {
			p := newPatient(t, wire)
			answer := receive(t, p.begun, 1)[0]
			must(t, p.in.Close())
			must(t, answer.Reply(7))
			if got := readToEnd(p.out); len(got) < 8 || got[3] != 1 {
				t.Errorf("the server says %q", got)
			}
			if err := receive(t, p.served, 1)[0]; err != nil || len(p.told) > 0 {
				t.Errorf("the server returned %v, the handler was told %d times", err, len(p.told))
			}
		})
	}
}

// What is read for the sake of a cancel is limited.
func TestSyncServerThatWaitsForAnAnswerReadsNoMoreThanItMay(t *testing.T) {
	p := newPatient(t, rpc.Evfork)
	answer := receive(t, p.begun, 1)[0]
	const limit, pipe, last = 1 << 20, 64 << 10, 1 << 20 // what one read may bring beyond
	ignored := frame(0xe0000000, string(make([]byte, 1016)))
	fd := int(p.in.Fd())
	must(t, unix.SetNonblock(fd, true))
	sent := writeUntilStuck(t, fd, strings.Repeat(ignored, 8<<10))
	if sent < limit || sent > limit+last+pipe {
		t.Errorf("the server takes %d bytes", sent)
	}
	must(t, answer.Reply(7))
	must(t, unix.SetNonblock(fd, false))
	p.say(ignored[sent%len(ignored):])
	must(t, p.in.Close())
	if got := readToEnd(p.out); len(got) < 8 || got[3] != 1 {
		t.Errorf("the server says %q", got)
	}
	must(t, receive(t, p.served, 1)[0])
}

// A sync server whose handler did not want to hear of cancels asked without a pause whether the parent was gone, once
// it was.
func TestSyncServerThatWaitsForAnAnswerFindsOnceThatItsParentIsGone(t *testing.T) {
	var found atomic.Int32
	again := make(chan int, 1)
	poll := func(fds []unix.PollFd, timeout int) (int, error) {
		if found.Load() == 1 {
			select {
			case again <- 0:
			default:
			}
		}
		n, err := unix.Poll(fds, timeout)
		for _, fd := range fds {
			if fd.Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
				found.Add(1)
			}
		}
		return n, err
	}
	p := newPatientOf(t, rpc.Evfork, poll, func(handler rpc.Handler) rpc.Handler {
		return func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
			return handler(context.WithoutCancel(ctx), request)
		}
	})
	answer := receive(t, p.begun, 1)[0]
	must(t, p.out.Close())
	receive(t, again, 1)
	must(t, answer.Reply(7))
	if err := receive(t, p.served, 1)[0]; err == nil {
		t.Error("the server says that all is well")
	}
	if n := found.Load(); n != 1 {
		t.Errorf("it found that %d times", n)
	}
}
