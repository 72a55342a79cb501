package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
	"github.com/evfork/evfork/rpc/rpctest"
)

type total struct{ Parts, Sum int }

var (
	counting = rpc.NewStreamMethod[int, rpc.None, order, total]("counting", cborcodec.Codec{})
	summing  = rpc.NewStreamMethod[string, int, rpc.None, total]("summing", cborcodec.Codec{})
	doubling = rpc.NewStreamMethod[string, int, int, total]("doubling", jsoncodec.Codec{})

	// What only one side believes.
	countingOthers = rpc.NewStreamMethod[int, rpc.None, []int, total]("counting", cborcodec.Codec{})
	summingOthers  = rpc.NewStreamMethod[string, string, rpc.None, total]("summing", cborcodec.Codec{})
	loudParts      = rpc.NewStreamMethod[int, rpc.None, any, total]("loud", jsoncodec.Codec{})
	loudInput      = rpc.NewStreamMethod[string, any, rpc.None, total]("summing", cborcodec.Codec{})
	notThere       = rpc.NewStreamMethod[string, int, int, total]("not there", jsoncodec.Codec{})
)

// streamMux serves them.
func streamMux(async bool) *rpc.Mux {
	mux := rpc.NewMux()
	if async {
		counting.HandleAsync(mux, countAsync)
		summing.HandleAsync(mux, sumAsync)
		doubling.HandleAsync(mux, doubleAsync)
		loudParts.HandleAsync(mux, func(_ int, parts *rpc.AsyncStream[rpc.None, any, total]) { parts.Fail(parts.Send(make(chan int))) })
		return mux
	}
	counting.Handle(mux, func(_ context.Context, n int, parts *rpc.HandlerStream[rpc.None, order]) (total, error) {
		for i := range n {
			if err := parts.Send(order{Item: "pen", Count: i}); err != nil {
				return total{}, err
			}
		}
		return total{Parts: n}, nil
	})
	summing.Handle(mux, func(_ context.Context, _ string, parts *rpc.HandlerStream[int, rpc.None]) (t total, err error) {
		for i, err := range parts.Parts() {
			if err != nil {
				return t, err
			}
			t.add(i)
		}
		return t, nil
	})
	doubling.Handle(mux, func(_ context.Context, _ string, parts *rpc.HandlerStream[int, int]) (t total, err error) {
		for i, err := range parts.Parts() {
			if err == nil {
				err = parts.Send(2 * i)
			}
			if err != nil {
				return t, err
			}
			t.add(i)
		}
		return t, nil
	})
	loudParts.Handle(mux, func(_ context.Context, _ int, parts *rpc.HandlerStream[rpc.None, any]) (t total, err error) {
		return t, parts.Send(make(chan int))
	})
	return mux
}

func (t *total) add(i int) {
	t.Parts++
	t.Sum += i
}

func countAsync(n int, parts *rpc.AsyncStream[rpc.None, order, total]) {
	i := 0
	var goOn func()
	goOn = func() {
		for ; i < n; i++ {
			switch err := parts.Send(order{Item: "pen", Count: i}); err {
			case nil:
			case rpc.ErrFull:
				parts.OnRoom(goOn)
				return
			default:
				parts.Fail(err)
				return
			}
		}
		parts.Reply(total{Parts: n})
	}
	goOn()
}

func sumAsync(_ string, parts *rpc.AsyncStream[int, rpc.None, total]) {
	var t total
	parts.OnParts(t.add, func() { parts.Reply(t) })
}

func doubleAsync(_ string, parts *rpc.AsyncStream[int, int, total]) {
	var t total
	var waiting []int
	ended := false
	var goOn func()
	goOn = func() {
		for ; len(waiting) > 0; waiting = waiting[1:] {
			if err := parts.Send(2 * waiting[0]); err == rpc.ErrFull {
				parts.PauseParts()
				parts.OnRoom(goOn)
				return
			} else if err != nil {
				parts.Fail(err)
				return
			}
		}
		parts.ResumeParts()
		if ended {
			parts.Reply(t)
		}
	}
	parts.OnParts(func(i int) {
		t.add(i)
		if waiting = append(waiting, i); len(waiting) == 1 {
			goOn()
		}
	}, func() {
		ended = true
		goOn()
	})
}

// eachStreamMux runs a test against the three servers.
func eachStreamMux(t *testing.T, test func(t *testing.T, f *fixture, c *rpc.Client)) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			tr := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
				return serveMux(fds, peer{server: server}, streamMux(server == "async"))
			})
			test(t, f, f.client(tr, peer{}, rpc.Config{}))
		})
	}
}

func TestTypedPartsOfAReply(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		f.background()
		s := counting.Call(t.Context(), c, rpc.StreamOptions{Window: 50}, 200)
		n := 0
		for part, err := range s.Parts() {
			must(t, err)
			if part.Item != "pen" || part.Count != n {
				t.Fatalf("part %d is %v", n, part)
			}
			n++
		}
		if reply, err := s.Reply(); err != nil || reply.Parts != 200 || n != 200 {
			t.Errorf("%d parts, %v, %v", n, reply, err)
		}
		if err := s.Send(rpc.None{}); err != rpc.ErrDone {
			t.Errorf("Send returned %v", err)
		}
	})
}

func TestTypedPartsOfARequest(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		f.background()
		s := summing.Call(t.Context(), c, rpc.StreamOptions{}, "")
		for i := range 1000 {
			must(t, s.Send(i))
		}
		s.CloseSend()
		if reply, err := s.Reply(); err != nil || reply != (total{1000, 499_500}) {
			t.Errorf("%v, %v", reply, err)
		}
	})
}

func TestTypedPartsOnTheLoop(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		const n = 500
		var got []int
		var reply total
		var s *rpc.TypedLoopStream[int]
		sent, ended := 0, false
		goOn := func() {
			for ; sent < n; sent++ {
				if err := s.Send(sent); err == rpc.ErrFull {
					return
				} else if err != nil {
					t.Fatal(err)
				}
			}
			s.CloseSend()
		}
		s, err := doubling.Go(c, rpc.StreamOptions{Window: 40}, "", rpc.StreamCallbacks[int, total]{
			Part: func(i int) { got = append(got, i/2) },
			Room: goOn,
			Done: func(r total, err error) { must(t, err); reply, ended = r, true },
		})
		must(t, err)
		goOn()
		f.until(func() bool { return ended })
		if len(got) != n || !slices.IsSorted(got) || reply != (total{n, n * (n - 1) / 2}) {
			t.Errorf("%d parts, %v", len(got), reply)
		}
	})
}

// What cannot be encoded or decoded ends the call with an error that says which.
func TestTypedPartsThatTheSidesDoNotAgreeOn(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		f.background()
		ctx := t.Context()
		is := func(what string, err, want error) {
			t.Helper()
			var method *rpc.MethodError
			if !errors.As(err, &method) || method.Kind != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		others := countingOthers.Call(ctx, c, rpc.StreamOptions{}, 10)
		for part, err := range others.Parts() {
			if part != nil {
				t.Errorf("a part is %v", part)
			}
			is("a part of another type", err, rpc.ErrBadReply)
		}
		_, err := others.Reply()
		is("its reply", err, rpc.ErrBadReply)

		wrong := summingOthers.Call(ctx, c, rpc.StreamOptions{}, "")
		must(t, wrong.Send("one"))
		_, err = wrong.Reply()
		is("a part of a request of another type", err, rpc.ErrBadRequest)

		loud := loudInput.Call(ctx, c, rpc.StreamOptions{}, "")
		is("a part of a request that cannot be encoded", loud.Send(make(chan int)), rpc.ErrBadRequest)
		loud.CloseSend()
		_, err = loud.Reply()
		must(t, err)

		_, err = loudParts.Call(ctx, c, rpc.StreamOptions{}, 1).Reply()
		is("a part that cannot be encoded", err, rpc.ErrBadReply)
		_, err = notThere.Call(ctx, c, rpc.StreamOptions{}, "").Reply()
		is("an unknown method", err, rpc.ErrUnknownMethod)
		for _, err := range notThere.Call(ctx, c, rpc.StreamOptions{}, "").Parts() {
			is("its parts", err, rpc.ErrUnknownMethod)
		}
	})
}

func TestTypedPartOfAnotherTypeOnTheLoop(t *testing.T) {
	eachStreamMux(t, func(t *testing.T, f *fixture, c *rpc.Client) {
		var ends []error
		_, err := countingOthers.Go(c, rpc.StreamOptions{}, 10, rpc.StreamCallbacks[[]int, total]{
			Part: func(part []int) { t.Errorf("a part is %v", part) },
			Done: func(_ total, err error) { ends = append(ends, err) },
		})
		must(t, err)
		f.until(func() bool { return len(ends) > 0 && c.InFlight() == 0 })
		if len(ends) != 1 || !errors.Is(ends[0], rpc.ErrBadReply) {
			t.Errorf("the call ended with %v", ends)
		}
	})
}

// A handler that blocks cannot be served on a loop, and one with callbacks nowhere else.
func TestStreamHandlersAreForTheirServers(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			tr := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
				return serveMux(fds, peer{server: server}, streamMux(server != "async"))
			})
			c := f.client(tr, peer{}, rpc.Config{})
			f.background()
			_, err := counting.Call(t.Context(), c, rpc.StreamOptions{}, 1).Reply()
			var remote *rpc.RemoteError
			if want := `rpc: method "counting": its handler is not for this kind of server`; !errors.As(err, &remote) || remote.Message != want {
				t.Errorf("the call ended with %v", err)
			}
			if fmt.Sprint(counting.Name()) != "counting" {
				t.Error(counting.Name())
			}
		})
	}
}
