package rpc_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// relay answers a call with what the parent says to it, without an allocation.
type relay struct {
	done rpc.Done
	next *relay // of those that are free
	home *relays
}

type relays struct{ free *relay }

func (r *relays) relay(done rpc.Done) *relay {
	one := r.free
	if one == nil {
		one = &relay{home: r}
	} else {
		r.free = one.next
	}
	one.done = done
	return one
}

func (r *relay) Complete(reply rpc.Payload, err error) {
	r.next, r.home.free = r.home.free, r
	if err != nil {
		r.done.Fail(err)
		return
	}
	r.done.ReplyBytes(reply)
}

// serveRelays is a child whose calls all go on to the parent.
func serveRelays(server string, fds sameFD) error {
	s, err := rpc.NewServer(fds, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	if server == "sync" {
		defer unix.Close(int(fds))
		return s.ServeSync(func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
			return rpc.CallParentBytes(ctx, request)
		})
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer closeLoop(loop)
	var pool relays
	return s.ServeAsync(loop, func(request rpc.Payload, done rpc.Done) {
		if _, err := s.GoParentWith(pool.relay(done), rpc.CallOptions{}, request); err != nil {
			done.Fail(err)
		}
	})
}

// Both sides are in this process, so that what either allocates is counted. A
// sync child allocates its record of the call, and the reply.
func TestUpcallsAllocateNothing(t *testing.T) {
	for server, most := range map[string]float64{"async": 0, "sync": 2} {
		t.Run(server, func(t *testing.T) {
			skipWithRaceDetector(t)
			f := newFixture(t)
			ours, theirs := socketpair(t)
			f.servers.Go(func() {
				if err := serveRelays(server, sameFD(theirs)); err != nil {
					t.Logf("the server in this process: %v", err)
				}
			})
			answer := func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(request) }
			c := f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, rpc.Config{OnCall: answer, MaxUpcalls: 100})
			calls := f.warmCalls(c)
			for _, n := range []int{1, 100} {
				if allocs := testing.AllocsPerRun(200, func() { calls(n) }); allocs > most*float64(n) {
					t.Errorf("%d calls at a time allocate %v times", n, allocs)
				}
			}
		})
	}
}
