package reactor_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// What the loop may cost in system calls, counted by strace.

// echoing is the configuration of a stream that sends back what it gets.
func echoing(t testing.TB, each func()) func(l *link) reactor.StreamConfig {
	return func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func(data []byte) {
			must(t, l.stream.Write(data))
			l.data = l.data[:0]
			each()
		}}
	}
}

// TestEchoCostsOneReadAndOneWrite per message and, as the loop sleeps between any
// two, two waits: one that does not block, and one that does. Nothing is
// registered anew.
func TestEchoCostsOneReadAndOneWrite(t *testing.T) {
	const warmUp, messages = 100, 1000
	scenario := func(t *testing.T) {
		for _, transport := range fdtest.Transports() {
			loop := newLoop(t)
			got := 0
			l := newLink(t, loop, transport, echoing(t, func() {
				switch got++; got {
				case warmUp:
					section(transport.Name, "begin")
				case warmUp + messages:
					section(transport.Name, "end")
					loop.Stop()
				}
			}))
			answered := make(chan bool)
			go func() {
				runtime.LockOSThread() // its calls are not the loop's
				defer close(answered)
				var buf [8]byte
				for range warmUp + messages {
					l.peer.Send(t, []byte("message"))
					l.peer.Receive(t, buf[:])
				}
			}()
			run(t, loop)
			pollTimes(t, loop, 1)
			<-answered
		}
	}
	sections := underStrace(t, scenario)
	for name, c := range sections {
		t.Logf("%s: %v", name, c)
		if n := c.of("read", "readv", "recvfrom", "recvmsg"); n != messages {
			t.Errorf("%s: %d reads for %d messages", name, n, messages)
		}
		if n := c.of("write", "writev", "sendto", "sendmsg"); n != messages {
			t.Errorf("%s: %d writes for %d messages", name, n, messages)
		}
		if n := c.of("epoll_ctl"); n != 0 {
			t.Errorf("%s: %d registrations changed", name, n)
		}
		if n := c.waits(); n > 2*messages {
			t.Errorf("%s: %d waits for %d messages", name, n, messages)
		}
		if rest := c.others(); len(rest) > 0 {
			t.Errorf("%s: other calls: %v", name, rest)
		}
	}
	mustHaveSections(t, sections, "pipes", "socketpair")
}

// TestBatchCostsOneWait however many descriptors are ready, and one write per
// stream however many messages are answered.
func TestBatchCostsOneWait(t *testing.T) {
	const streams, rounds, pieces = 20, 50, 10
	scenario := func(t *testing.T) {
		loop := newLoop(t)
		var links []*link
		for range streams {
			links = append(links, newLink(t, loop, fdtest.Transports()[0], func(l *link) reactor.StreamConfig {
				return reactor.StreamConfig{OnData: func(data []byte) {
					l.data = l.data[:0]
					for range pieces {
						must(t, l.stream.Write(data))
					}
				}}
			}))
		}
		for range rounds {
			for _, l := range links {
				l.peer.Send(t, []byte("x"))
			}
			section("batch", "begin")
			must(t, loop.Poll(time.Second))
			section("batch", "end")
			for _, l := range links {
				if data, _ := l.peer.Available(t); len(data) != pieces {
					t.Fatalf("%d bytes have come back", len(data))
				}
			}
		}
	}
	sections := underStrace(t, scenario)
	for _, c := range sections {
		t.Logf("%v", c)
		if n := c.waits(); n != rounds {
			t.Errorf("%d waits for %d batches", n, rounds)
		}
		if r, w := c.of("read"), c.of("write", "writev"); r != streams*rounds || w != streams*rounds {
			t.Errorf("%d reads and %d writes for %d messages", r, w, streams*rounds)
		}
		if n := c.of("epoll_ctl"); n != 0 {
			t.Errorf("%d registrations changed", n)
		}
		if rest := c.others(); len(rest) > 0 {
			t.Errorf("other calls: %v", rest)
		}
	}
	mustHaveSections(t, sections, "batch")
}

// TestPostToAnAwakeLoopMakesNoSystemCall, neither on the poster's thread nor in a
// callback of the loop's own.
func TestPostToAnAwakeLoopMakesNoSystemCall(t *testing.T) {
	const posts = 500
	scenario := func(t *testing.T) {
		loop := newLoop(t)
		ran := 0
		fn := func() { ran++ }
		post := func() {
			for range posts {
				if err := loop.Post(fn); err != nil {
					t.Error(err)
				}
			}
		}
		for range 3 { // the queues grow
			post()
			pollTimes(t, loop, 1)
		}
		var awake, posted atomic.Bool
		poster := make(chan bool)
		go func() {
			runtime.LockOSThread()
			defer close(poster)
			for !awake.Load() {
			}
			section("another thread", "begin")
			post()
			section("another thread", "end")
			posted.Store(true)
		}()
		loop.AfterFunc(0, func() {
			section("loop", "begin")
			post()
			section("loop", "end")
		})
		run(t, loop)
		loop.AfterFunc(0, func() {
			awake.Store(true)
			for !posted.Load() { // the loop is awake all the time
			}
		})
		run(t, loop)
		<-poster
		if ran != 5*posts {
			t.Errorf("%d of %d posts ran", ran, 5*posts)
		}
	}
	sections := underStrace(t, scenario)
	for name, c := range sections {
		if rest := c.withoutRuntime(); len(rest) > 0 {
			t.Errorf("%s: %d posts cost %v", name, posts, rest)
		}
	}
	mustHaveSections(t, sections, "another thread", "loop")
}

// TestIdleLoopMakesNoSystemCall but those that put it to sleep, whatever it holds.
func TestIdleLoopMakesNoSystemCall(t *testing.T) {
	scenario := func(t *testing.T) {
		loop := newLoop(t)
		for i := range 50 {
			l := newLink(t, loop, fdtest.Transports()[i%2], echoing(t, func() {}))
			l.peer.Send(t, []byte("x"))
			pollTimes(t, loop, 2)
			loop.AfterFunc(time.Hour, func() {}).Unref()
		}
		loop.AfterFunc(0, func() {
			section("idle", "begin")
			loop.AfterFunc(200*time.Millisecond, func() {
				section("idle", "end")
				loop.Stop()
			})
		})
		run(t, loop)
	}
	sections := underStrace(t, scenario)
	for _, c := range sections {
		t.Logf("%v", c)
		if n := c.waits(); n > 2 {
			t.Errorf("%d waits", n)
		}
		if n := c.of("read", "write", "writev", "epoll_ctl"); n != 0 {
			t.Errorf("%d reads, writes and registrations", n)
		}
		if rest := c.others(); len(rest) > 0 {
			t.Errorf("other calls: %v", rest)
		}
	}
	mustHaveSections(t, sections, "idle")
}

// mustHaveSections fails a budget that nothing was counted for, but in the traced process.
func mustHaveSections(t *testing.T, sections map[string]calls, names ...string) {
	t.Helper()
	for _, name := range names {
		if sections != nil && sections[name] == nil {
			t.Errorf("the trace has no section %q", name)
		}
	}
}
