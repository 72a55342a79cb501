package rpc_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
)

// payloadCallers are goroutines that have made one call each, which is in flight.
type payloadCallers struct {
	f      *fixture
	c      *rpc.Client
	peer   *os.File
	cancel context.CancelFunc // of the odd ones' ctx; the others cannot give up
	ends   []ending[string]
	all    sync.WaitGroup
}

func newPayloadCallers(f *fixture, n int, config rpc.Config) *payloadCallers {
	f.t.Helper()
	transport, file := f.stranger()
	ctx, cancel := context.WithCancel(f.t.Context())
	f.t.Cleanup(cancel)
	g := &payloadCallers{f: f, c: f.client(transport, peer{}, config), peer: file, cancel: cancel, ends: make([]ending[string], n)}
	if goroutinesParkLate {
		rpc.ParkLate(g.c)
	}
	for i := range n {
		g.all.Go(func() {
			of := context.Background()
			if i%2 == 1 {
				of = ctx
			}
			reply, err := g.c.CallBytes(of, nil)
			g.ends[i] = ending[string]{resp: string(reply), err: err}
		})
		f.until(func() bool { return g.c.InFlight() == i+1 })
	}
	greet(f, file)
	return g
}

// replies are the frames that answer calls first to last, the first of all being number 0.
func (g *payloadCallers) replies(first, last int) string {
	var frames strings.Builder
	for i := first; i <= last; i++ {
		frames.WriteString(frame(uint32(i+1), fmt.Sprint("reply ", i)))
	}
	return frames.String()
}

// answer sends frames, all at once, and waits until every call has ended.
func (g *payloadCallers) answer(frames string) {
	g.f.t.Helper()
	say(g.f, g.peer, frames)
	g.f.until(func() bool { return g.c.InFlight() == 0 })
	g.all.Wait()
}

// haveReplies checks how calls first to last have ended.
func (g *payloadCallers) haveReplies(first, last int) {
	g.f.t.Helper()
	for i := first; i <= last; i++ {
		if want := (ending[string]{resp: fmt.Sprint("reply ", i)}); g.ends[i] != want {
			g.f.t.Errorf("call %d has ended: %+v", i, g.ends[i])
		}
	}
}

// greet has the hello taken: only the second read may be a quick one.
func greet(f *fixture, peer *os.File) {
	f.t.Helper()
	before := f.Stats().Reads
	say(f, peer, hello)
	f.until(func() bool { return f.Stats().Reads > before })
}

func say(f *fixture, peer *os.File, frames string) {
	f.t.Helper()
	_, err := peer.WriteString(frames)
	must(f.t, err)
}

// newStanding is a fixture whose clock stands still: every read but the first comes at once after the one before.
func newStanding(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, reactor.Config{Clock: reactortest.NewClock(), OnPanic: func(p *reactor.Panic) {
		if p.Value != any("expected") {
			t.Error(p)
		}
	}})
}

// goroutinesParkLate has payloadCallers park late.
var goroutinesParkLate bool

// eachProcessors runs a test with one processor, and with two, and with goroutines that park late.
func eachProcessors(t *testing.T, test func(t *testing.T)) {
	for _, late := range []bool{false, true} {
		for _, n := range []int{1, 2} {
			t.Run(fmt.Sprintf("%d, late %v", n, late), func(t *testing.T) {
				goroutinesParkLate = late
				defer func() { goroutinesParkLate = false }()
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
				test(t)
			})
		}
	}
}

// many is how many replies come with one read.
const many = 131

func TestReplyReachesEveryGoroutineOfARow(t *testing.T) {
	eachProcessors(t, func(t *testing.T) {
		for _, n := range []int{1, 2, many, 1025} {
			g := newPayloadCallers(newStanding(t), n, rpc.Config{})
			g.answer(g.replies(0, n-1))
			g.haveReplies(0, n-1)
		}
	})
}

// Replies that are too long to be decoded together wake their goroutines in rows, too.
func TestLongReplyReachesEveryGoroutineOfARow(t *testing.T) {
	eachProcessors(t, func(t *testing.T) {
		f := newStanding(t)
		g := newCallers(f, handedStrings, rpc.Config{}, make([]string, many))
		long := strings.Repeat("x", rpc.SmallReply+1)
		var frames strings.Builder
		for i := range g.ends {
			frames.WriteString(cborReply(t, i+1, long))
		}
		greet(f, g.peer)
		say(f, g.peer, frames.String())
		f.until(func() bool { return g.c.InFlight() == 0 })
		g.all.Wait()
		for i, e := range g.ends {
			if e != (ending[string]{resp: long}) {
				t.Errorf("call %d has ended: %d bytes, %v", i, len(e.resp), e.err)
			}
		}
	})
}

// A goroutine whose ctx ends when its reply is there, and before it is woken, takes the reply, and wakes the next.
func TestGoroutineThatCannotGiveUpAnyMoreWakesTheNext(t *testing.T) {
	eachProcessors(t, func(t *testing.T) {
		var g *payloadCallers
		g = newPayloadCallers(newStanding(t), many, rpc.Config{OnEvent: func(rpc.Payload) { g.cancel() }})
		g.answer(g.replies(0, many-1) + frame(0, "an event"))
		g.haveReplies(0, many-1)
	})
}

// A callback that panics behind replies does not keep their goroutines waiting.
func TestPanicBehindRepliesKeepsNoGoroutineWaiting(t *testing.T) {
	eachProcessors(t, func(t *testing.T) {
		const before = many / 2
		g := newPayloadCallers(newStanding(t), many, rpc.Config{OnEvent: func(rpc.Payload) { panic("expected") }})
		g.answer(g.replies(0, before-1) + frame(0, "an event") + g.replies(before, many-1))
		g.haveReplies(0, before-1)
		for i := before; i < many; i++ {
			if g.ends[i].err == nil {
				t.Errorf("call %d, whose reply comes behind the panic, has ended: %+v", i, g.ends[i])
			}
		}
	})
}

func TestRowsAreForOneProcessorAndForQuickReads(t *testing.T) {
	for _, c := range []struct {
		processors int
		after      time.Duration
		want       bool
	}{{1, 0, true}, {1, rpc.LongTurn - 1, true}, {1, rpc.LongTurn, false}, {2, 0, false}} {
		if got := rpc.WakesInRow(c.after, c.processors); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// With several loops all would wait for the scheduler's lock at every read.
func TestProcessorsAreNotCountedForEachRead(t *testing.T) {
	if n := rpc.CountsOfProcessors(100, rpc.LongTurn/10); n != 10 {
		t.Errorf("100 reads, ten in a long turn, have counted the processors %d times", n)
	}
}
