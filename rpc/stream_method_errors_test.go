package rpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
	"github.com/evfork/evfork/rpc/rpctest"
)

// How calls of StreamMethods end that do not go their whole way.

var (
	loudRequest  = rpc.NewStreamMethod[any, int, int, total]("doubling", jsoncodec.Codec{})
	otherRequest = rpc.NewStreamMethod[[]int, rpc.None, rpc.None, total]("summing", cborcodec.Codec{})
)

// isMethodError fails the test unless err is a MethodError of the kind.
func isMethodError(t *testing.T, what string, err, kind error) {
	t.Helper()
	if method, ok := errors.AsType[*rpc.MethodError](err); !ok || method.Kind != kind {
		t.Errorf("%s: %v", what, err)
	}
}

func TestTypedStreamWhoseRequestIsBadEndsWithThat(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		_, err := loudRequest.Go(c, rpc.StreamOptions{}, make(chan int), rpc.StreamCallbacks[int, total]{
			Done: func(total, error) { t.Error("a call that Go has refused has ended") },
		})
		isMethodError(t, "Go", err, rpc.ErrBadRequest)
		f.background()
		s := loudRequest.Call(t.Context(), c, rpc.StreamOptions{}, make(chan int))
		_, err = s.Reply()
		isMethodError(t, "Reply", err, rpc.ErrBadRequest)
		isMethodError(t, "Send", s.Send(1), rpc.ErrBadRequest)
		ends := 0
		for _, err := range s.Parts() {
			isMethodError(t, "Parts", err, rpc.ErrBadRequest)
			ends++
		}
		if s.Cancel(); ends != 1 {
			t.Errorf("Parts has ended %d times", ends)
		}
		_, err = otherRequest.Call(t.Context(), c, rpc.StreamOptions{}, []int{1}).Reply()
		isMethodError(t, "a request of another type", err, rpc.ErrBadRequest)
	})
}

// A call that is refused has no end but that.
func TestTypedStreamThatIsRefusedIsNotMade(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
	f.begin(c, "first")
	s, err := doubling.Go(c, rpc.StreamOptions{}, "", rpc.StreamCallbacks[int, total]{
		Done: func(total, error) { t.Error("a call that Go has refused has ended") },
	})
	if s != nil || err != rpc.ErrFull {
		t.Errorf("Go returned %v, %v", s, err)
	}
}

// A part that cannot be encoded is not sent, and others can be.
func TestTypedPartThatCannotBeEncodedOnTheLoop(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		var reply total
		var err error
		ended := false
		s, refused := loudInput.Go(c, rpc.StreamOptions{}, "", rpc.StreamCallbacks[rpc.None, total]{
			Done: func(r total, failure error) { reply, err, ended = r, failure, true },
		})
		must(t, refused)
		isMethodError(t, "Send", s.Send(make(chan int)), rpc.ErrBadRequest)
		s.CloseSend()
		f.until(func() bool { return ended })
		if err != nil || reply != (total{}) {
			t.Errorf("the call ended with %v, %v", reply, err)
		}
	})
}

// A typed stream of the loop that nobody wants to hear of can be cancelled, and ends.
func TestTypedStreamOfTheLoopCanBeCancelled(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		var ends []error
		for _, callbacks := range []rpc.StreamCallbacks[int, total]{{}, {Done: func(_ total, err error) { ends = append(ends, err) }}} {
			s, err := doubling.Go(c, rpc.StreamOptions{}, "", callbacks)
			must(t, err)
			if !s.Cancel() || s.Cancel() {
				t.Error("the call was not cancelled once")
			}
			f.until(func() bool { return c.InFlight() == 0 })
		}
		f.until(func() bool { return len(ends) > 0 })
		if len(ends) != 1 || ends[0] != rpc.ErrCanceled {
			t.Errorf("the call ended with %v", ends)
		}
	})
}

// A stream that is paused gets its parts, but the child no more credit, until it goes on.
func TestTypedStreamOfTheLoopCanBePaused(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	parts := 0
	s, err := counting.Go(c, rpc.StreamOptions{Window: 1}, 1, rpc.StreamCallbacks[order, total]{Part: func(order) { parts++ }})
	must(t, err)
	s.Pause()
	encoded, err := cborcodec.Codec{}.Append(nil, &order{})
	must(t, err)
	part := string(rpc.Strings(string(encoded)))
	_, err = file.WriteString(ourHello + frame(partKind|1, part))
	must(t, err)
	f.until(func() bool { return parts == 1 })
	must(t, f.Poll(0))
	readOneFrame(t, file, 8) // the hello
	readOneFrame(t, file, 8) // the call
	f.hearsNoMore(file)
	s.Resume()
	want := credit(1, uint64(8+len(part)))
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
}

// A handler that leaves the parts early gets the rest, and the error that ends them.
func TestTypedPartsOfAHandlerEndWithTheCall(t *testing.T) {
	for name := range blockingServers {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			left, ended := make(chan bool, 1), make(chan error, 1)
			mux := rpc.NewMux()
			summing.Handle(mux, func(_ context.Context, _ string, parts *rpc.HandlerStream[int, rpc.None]) (sum total, err error) {
				for i, err := range parts.Parts() {
					must(t, err)
					sum.add(i)
					break
				}
				left <- true
				for i, failure := range parts.Parts() {
					if err = failure; err == nil {
						sum.add(i)
					}
				}
				ended <- err
				return sum, err
			})
			tr := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error { return serveMux(fds, peer{server: name}, mux) })
			c := f.client(tr, peer{}, rpc.Config{})
			f.background()
			for _, cancels := range []bool{false, true} {
				s := summing.Call(t.Context(), c, rpc.StreamOptions{}, "")
				must(t, s.Send(1))
				receive(t, left, 1)
				if cancels {
					s.Cancel()
					if err := receive(t, ended, 1)[0]; !errors.Is(err, context.Canceled) {
						t.Errorf("the parts of a cancelled call ended with %v", err)
					}
					continue
				}
				must(t, s.Send(2))
				s.CloseSend()
				must(t, receive(t, ended, 1)[0])
				if reply, err := s.Reply(); err != nil || reply != (total{2, 3}) {
					t.Errorf("the reply is %v, %v", reply, err)
				}
			}
		})
	}
}
