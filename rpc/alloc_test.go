package rpc_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// counter is a completion that is used for many calls.
type counter struct{ ended int }

func (c *counter) Complete(_ rpc.Payload, err error) {
	if err == nil {
		c.ended++
	}
}

// warmUp is how many calls every pool and table gets to grow to its size.
const warmUp = 5000

func skipWithRaceDetector(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("under -race the detector allocates: nothing to count")
	}
}

// warmCalls returns a function that makes n calls at a time and waits for their ends, when it has been
// called often enough.
func (f *fixture) warmCalls(c *rpc.Client) func(n int) {
	f.t.Helper()
	var done counter
	calls := func(n int) {
		want := done.ended + n
		for range n {
			must(f.t, c.GoTo(&done, "some", "arguments"))
		}
		for done.ended < want {
			must(f.t, f.Poll(-1))
		}
	}
	for range warmUp / 100 {
		calls(100)
	}
	return calls
}

func TestGoToAllocatesNothing(t *testing.T) {
	for _, server := range []string{"sync", "async"} {
		t.Run(server, func(t *testing.T) {
			skipWithRaceDetector(t)
			f := newFixture(t)
			c := f.connect(peer{transport: "pipes", server: server, mirror: true}, rpc.Config{})
			calls := f.warmCalls(c)
			for _, n := range []int{1, 100} {
				if allocs := testing.AllocsPerRun(1000, func() { calls(n) }); allocs != 0 {
					t.Errorf("%d calls at a time allocate %v times", n, allocs)
				}
			}
		})
	}
}

// Call allocates the reply, which is the caller's own.
func TestCallAllocatesItsReply(t *testing.T) {
	contexts := map[string]func(t *testing.T) context.Context{
		"without an end": func(*testing.T) context.Context { return context.Background() },
		"with an end":    func(t *testing.T) context.Context { return t.Context() },
	}
	for name, ctx := range contexts {
		t.Run(name, func(t *testing.T) {
			skipWithRaceDetector(t)
			f := newFixture(t)
			c := f.connect(peer{transport: "pipes", server: "sync", mirror: true}, rpc.Config{})
			f.background()
			call := func() {
				if _, err := c.Call(ctx(t), "some", "arguments"); err != nil {
					t.Fatal(err)
				}
			}
			for range warmUp {
				call()
			}
			if allocs := testing.AllocsPerRun(1000, call); allocs > 1 {
				t.Errorf("a call allocates %v times", allocs)
			}
		})
	}
}

// TestFramesLargerThanAReadAllocateNothing: there was a new buffer for each, grown
// from nothing.
func TestFramesLargerThanAReadAllocateNothing(t *testing.T) {
	skipWithRaceDetector(t)
	for _, size := range []int{1 << 20, 64 << 10} { // the smaller gets the buffer of the larger
		feed := rpc.DecoderOfLargeFrames(size, 60<<10)
		if !feed() {
			t.Fatal("the frame does not come out whole")
		}
		if n := testing.AllocsPerRun(100, func() { feed() }); n != 0 {
			t.Errorf("%d bytes: %v allocations a frame", size, n)
		}
	}
}

// The workers' side: what they have allocated is asked before and after.
func TestServersAllocateNothing(t *testing.T) {
	for _, server := range []string{"sync", "async"} {
		for name, options := range map[string]rpc.CallOptions{"": {}, "with deadlines": within(guard)} {
			t.Run(server+" "+name, func(t *testing.T) {
				skipWithRaceDetector(t)
				f := newFixture(t)
				c := f.connect(peer{transport: "pipes", server: server, mirror: true}, rpc.Config{})
				var done counter
				calls := func() {
					for range warmUp {
						_, err := c.GoWith(&done, options, rpc.Strings("some", "arguments"))
						must(t, err)
					}
					f.until(func() bool { return c.InFlight() == 0 })
				}
				calls()
				before := f.mallocs(c)
				calls()
				// The counting itself and the runtime allocate a little.
				if after := f.mallocs(c); after-before > warmUp/50 {
					t.Errorf("%d calls allocate %d times", warmUp, after-before)
				}
			})
		}
	}
}

// mallocs asks a mirror how often it has allocated.
func (f *fixture) mallocs(c *rpc.Client) int {
	f.t.Helper()
	n := -1
	must(f.t, c.GoBytes(func(reply rpc.Payload, err error) {
		must(f.t, err)
		n, err = strconv.Atoi(string(reply))
		must(f.t, err)
	}, []byte(mallocsRequest)))
	f.until(func() bool { return n >= 0 })
	return n
}
