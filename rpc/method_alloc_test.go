package rpc_test

import (
	"strconv"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// rawCalls is a client of a typedMux, and rounds of calls to it.
type rawCalls struct {
	f     *fixture
	c     *rpc.Client
	ended int
	done  func([]byte, error)
	with  rpc.CallOptions
}

func newRawCalls(t *testing.T, server string, config rpc.Config) *rawCalls {
	f := newFixture(t)
	r := &rawCalls{f: f, c: f.typed(pipes(server), false, config)}
	r.done = func(_ []byte, err error) {
		must(t, err)
		r.ended++
	}
	return r
}

func (r *rawCalls) make(n int, request []byte) {
	want := r.ended + n
	for range n {
		_, err := rawMirror.GoWith(r.c, request, r.with, r.done)
		must(r.f.t, err)
	}
	for r.ended < want {
		must(r.f.t, r.f.Poll(-1))
	}
}

func TestTypedGoAllocatesNothing(t *testing.T) {
	for _, server := range []string{"sync", "async"} {
		t.Run(server, func(t *testing.T) {
			skipWithRaceDetector(t)
			r := newRawCalls(t, server, rpc.Config{})
			r.allocateNothing()
			r.with = within(guard)
			r.allocateNothing()
		})
	}
}

// allocateNothing fails the test if calls allocate.
func (r *rawCalls) allocateNothing() {
	r.f.t.Helper()
	request := []byte("some arguments")
	for range warmUp / 100 {
		r.make(100, request)
	}
	for _, n := range []int{1, 100} {
		if allocs := testing.AllocsPerRun(1000, func() { r.make(n, request) }); allocs >= 1 {
			r.f.t.Errorf("with %+v %d calls at a time allocate %v times", r.with, n, allocs)
		}
	}
}

// The codec allocates the string at each side, and nobody anything else.
func TestTypedStringsAllocateWhatTheCodecDoes(t *testing.T) {
	skipWithRaceDetector(t)
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{})
	ended := 0
	done := func(_ string, err error) {
		must(t, err)
		ended++
	}
	calls := func() {
		ended = 0
		for range 100 {
			must(t, stringMirror.Go(c, "some arguments", done))
		}
		for ended < 100 {
			must(t, f.Poll(-1))
		}
	}
	for range warmUp / 100 {
		calls()
	}
	if allocs := testing.AllocsPerRun(1000, calls); allocs > 101 {
		t.Errorf("100 calls allocate %v times", allocs)
	}
}

// Call allocates the reply, which is what rawcodec returns.
func TestTypedCallAllocatesItsReply(t *testing.T) {
	skipWithRaceDetector(t)
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{})
	f.background()
	request := []byte("some arguments")
	call := func() {
		if _, err := rawMirror.Call(t.Context(), c, request); err != nil {
			t.Fatal(err)
		}
	}
	for range warmUp {
		call()
	}
	if allocs := testing.AllocsPerRun(1000, call); allocs > 1 {
		t.Errorf("a call allocates %v times", allocs)
	}
}

func TestMuxAllocatesNothing(t *testing.T) {
	for _, server := range []string{"sync", "async"} {
		t.Run(server, func(t *testing.T) {
			skipWithRaceDetector(t)
			r := newRawCalls(t, server, rpc.Config{})
			count := func() int {
				text, err := askTyped(r.f, r.c, rawMallocs, struct{}{})
				must(t, err)
				n, err := strconv.Atoi(text)
				must(t, err)
				return n
			}
			r.make(warmUp, []byte("some arguments"))
			before := count()
			r.make(warmUp, []byte("some arguments"))
			// The counting itself and the runtime allocate a little.
			if after := count(); after-before > warmUp/50 {
				t.Errorf("%d calls allocate %d times", warmUp, after-before)
			}
		})
	}
}
