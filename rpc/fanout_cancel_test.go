package rpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// heldJobs yields n jobs that are held and, when all of them are, one that is not.
func (h *holders) heldJobs(n int) func(yield func(job) bool) {
	return func(yield func(job) bool) {
		for i := range n {
			if !yield(job{N: i, What: "hold"}) {
				return
			}
		}
		receive(h.t, h.begun, n)
		yield(job{N: n})
	}
}

// Whoever ends Results before its jobs are done, their handlers hear of it.
func TestFanOutThatEndsEarlyCancelsItsCalls(t *testing.T) {
	const held = 7
	stop := errors.New("stop")
	for _, how := range []string{"break", "ctx", "panic", "stop"} {
		t.Run(how, func(t *testing.T) {
			eachHolding(t, func(t *testing.T, server holding) {
				fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
					if how == "stop" && !config.RunLoop {
						return // a loop that was stopped may run again: Results waits
					}
					h := newHolders(t, server)
					clients := []*rpc.Client{h.connect(f), h.connect(f)}
					f.elsewhere(config)
					config.Window = 4
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					y := newTally(t)
					func() {
						defer func() {
							if r := recover(); r != nil && r != stop {
								panic(r)
							}
						}()
						for r := range double.FanOut(ctx, clients, h.heldJobs(held), config).Results() {
							y.add(r)
							if r.Req.N < held {
								continue
							}
							switch how {
							case "break":
								return
							case "ctx":
								cancel()
							case "panic":
								panic(stop)
							case "stop":
								f.Stop()
							}
						}
					}()
					if abandoned := how == "ctx" || how == "stop"; abandoned {
						y.complete(held + 1)
					}
					// With RunLoop nobody runs the loop now.
					for _, err := range receive(t, h.told, held) {
						if !errors.Is(err, context.Canceled) {
							t.Errorf("a handler was told %v", err)
						}
					}
					f.allAnswered(config, clients)
				})
			})
		})
	}
}

// allAnswered returns when no call of the clients is in flight.
func (f *fixture) allAnswered(config rpc.FanOutConfig, clients []*rpc.Client) {
	f.t.Helper()
	if config.RunLoop {
		f.until(func() bool {
			n := 0
			for _, c := range clients {
				n += c.InFlight()
			}
			return n == 0
		})
		return
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), guard)
	defer cancel()
	for _, c := range clients {
		if err := c.ShutdownWait(ctx); err != nil {
			f.t.Error(err)
		}
	}
}

func TestFanOutCancelsNoCallsOfOthers(t *testing.T) {
	eachHolding(t, func(t *testing.T, server holding) {
		f := newFixture(t)
		h := newHolders(t, server)
		c := h.connect(f)
		ends := 0
		other, err := double.GoWith(c, job{N: 100, What: "hold"}, rpc.CallOptions{}, func(_ int, err error) {
			ends++
			if !errors.Is(err, rpc.ErrCanceled) {
				t.Errorf("the other call ended with %v", err)
			}
		})
		must(t, err)
		must(t, f.Poll(0)) // which sends it
		receive(t, h.begun, 1)
		for range double.FanOut(t.Context(), []*rpc.Client{c}, h.heldJobs(3), rpc.FanOutConfig{RunLoop: true}).Results() {
			break
		}
		f.until(func() bool { return c.InFlight() == 1 })
		if ends > 0 || len(h.told) != 3 {
			t.Errorf("the other call ended %d times; %d handlers were told", ends, len(h.told))
		}
		if !c.Cancel(other) {
			t.Error("the other call is not in flight")
		}
		f.until(func() bool { return c.InFlight() == 0 })
	})
}
