package rpc_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// serveWithEvents answers each call with an event and a reply, both of which are the request.
func serveWithEvents(server string, wire rpc.Wire, fds sameFD) error {
	s, err := rpc.NewServer(fds, rpc.ServerConfig{Wire: wire})
	if err != nil {
		return err
	}
	handle := func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		return request, s.EventBytes(request)
	}
	switch server {
	case "sync":
		defer unix.Close(int(fds))
		return s.ServeSync(handle)
	case "goroutines":
		defer unix.Close(int(fds))
		return s.ServeGoroutines(handle, 0)
	}
	return serveOnALoop(s, func(request rpc.Payload, done rpc.Done) {
		if err := s.EventBytes(request); err != nil {
			done.Fail(err)
			return
		}
		done.ReplyBytes(request)
	})
}

// Both sides are in this process, so that what either allocates is counted. ServeGoroutines
// allocates its record of a call, which is the handler's ctx.
func TestCallsAndEventsAllocateNothingOnEachWire(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
		for server, most := range map[string]float64{"sync": 0, "async": 0, "goroutines": 1} {
			t.Run(wire.String()+"/"+server, func(t *testing.T) {
				skipWithRaceDetector(t)
				f := newFixture(t)
				ours, theirs := socketpair(t)
				f.servers.Go(func() {
					if err := serveWithEvents(server, wire, sameFD(theirs)); err != nil {
						t.Logf("the server in this process: %v", err)
					}
				})
				events := 0
				config := rpc.Config{OnEvent: func(rpc.Payload) { events++ }}
				calls := f.warmCalls(f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{wire: wire}, config))
				for _, n := range []int{1, 100} {
					before := events
					allocs := testing.AllocsPerRun(200, func() { calls(n) })
					// The runtime's own come now and then where there are goroutines, and so does another runner.
					if limit := most * float64(n); allocs > limit*1.5 {
						t.Errorf("%d calls at a time allocate %v times", n, allocs)
					}
					if events-before != 201*n { // AllocsPerRun warms up
						t.Errorf("%d events came with %d calls", events-before, 201*n)
					}
				}
			})
		}
	}
}
