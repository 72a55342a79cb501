package rpc_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// twiceCodec is CBOR, but panics when it decodes a value that says so for the first time, and
// takes its time the second.
type twiceCodec struct {
	cborcodec.Codec
	times  *atomic.Int32
	second chan struct{} // closed when the second time has begun
	goOn   chan struct{} // closed when it may end
}

func (c twiceCodec) Decode(data []byte, value any) error {
	if strings.Contains(string(data), edge) {
		if c.times.Add(1) == 1 {
			panic("of Decode")
		}
		close(c.second)
		<-c.goOn
	}
	return c.Codec.Decode(data, value)
}

// The reply that a codec could not decode on the loop, or for another goroutine, is its own goroutine's, and stays
// what it is while those that come later are read.
func TestReplyIsKeptForItsGoroutineAfterAPanicElsewhere(t *testing.T) {
	t.Run("on the loop", func(t *testing.T) { replyIsKept(t, func(*rpc.Client) {}) })
	t.Run("on another goroutine", func(t *testing.T) { replyIsKept(t, rpc.DecodeTogether) })
}

func replyIsKept(t *testing.T, prepare func(*rpc.Client)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a pool has what was put into it on the same processor
	f := newFixture(t)
	codec := twiceCodec{times: new(atomic.Int32), second: make(chan struct{}), goOn: make(chan struct{})}
	const calls = 10
	g := newCallers(f, rpc.NewMethod[string, string]("twice", codec), rpc.Config{}, make([]string, calls))
	prepare(g.c)
	say := func(frames ...string) {
		t.Helper()
		left := g.c.InFlight() - len(frames)
		_, err := g.peer.WriteString(strings.Join(frames, ""))
		must(t, err)
		f.until(func() bool { return g.c.InFlight() == left })
	}
	_, err := g.peer.WriteString(hello)
	must(t, err)
	say(cborReply(t, 1, "first"), cborReply(t, 2, edge))
	<-codec.second
	for i := 3; i <= calls; i++ { // whichever of these are where the first was
		say(cborReply(t, i, strings.Repeat("x", rpc.SmallReply/2)))
	}
	close(codec.goOn)
	g.all.Wait()
	if want := (ending[string]{resp: edge}); g.ends[1] != want {
		t.Errorf("the call has ended: %+v", g.ends[1])
	}
}

// Replies that fill a batch to the last byte are whole, as are those that it has no room for.
func TestRepliesThatFillABatchAreWhole(t *testing.T) {
	const each = rpc.SmallReply
	for _, last := range []int{each - 1, each, each + 1} {
		f := newFixture(t)
		g := newCallers(f, handedStrings, rpc.Config{}, make([]string, 2*rpc.BatchReplies+2))
		rpc.DecodeTogether(g.c)
		var frames, want []string
		for i := range g.ends {
			size := each
			if i == rpc.BatchReplies-1 {
				size = last
			}
			value := strings.Repeat(string(rune('a'+i%26)), size)
			for len(cborReply(t, 1, value)) > len(frame(1, ""))+size {
				value = value[1:]
			}
			want = append(want, value)
			frames = append(frames, cborReply(t, i+1, value))
		}
		g.answer(frames...)
		for i, e := range g.ends {
			if e != (ending[string]{resp: want[i]}) {
				t.Errorf("with %d bytes at the end of a batch call %d has ended: %d bytes, %v", last, i, len(e.resp), e.err)
			}
		}
	}
}

// waitCodec is CBOR, but takes as long to decode one value as another has not been decoded.
type waitCodec struct {
	cborcodec.Codec
	t    *testing.T
	came chan struct{}
}

func (c waitCodec) Decode(data []byte, value any) error {
	err := c.Codec.Decode(data, value)
	switch *value.(*string) {
	case "wait":
		select {
		case <-c.came:
		case <-time.After(guard):
			c.t.Error("the other value was not decoded")
		}
	case "go on":
		close(c.came)
	}
	return err
}

// However many replies come together, one goroutine decodes so many and no more.
func TestReplyBehindABatchIsDecodedMeanwhile(t *testing.T) {
	f := newFixture(t)
	g := newCallers(f, rpc.NewMethod[string, string]("wait", waitCodec{t: t, came: make(chan struct{})}), rpc.Config{}, make([]string, rpc.BatchReplies+1))
	rpc.DecodeTogether(g.c)
	var frames []string
	for i := range g.ends {
		value := ""
		switch i {
		case 1:
			value = "wait"
		case rpc.BatchReplies:
			value = "go on"
		}
		frames = append(frames, cborReply(t, i+1, value))
	}
	g.answer(frames...)
	for i, e := range g.ends {
		if e.err != nil || e.panicked != nil {
			t.Errorf("call %d has ended: %+v", i, e)
		}
	}
}

// With one processor replies are decoded where they come: before anything else that the same read has brought, and before any goroutine runs.
func TestLoopDecodesWithOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late %v", late), func(t *testing.T) {
			goroutinesParkLate = late
			defer func() { goroutinesParkLate = false }()
			decoded, before := 0, 0
			codec := countingCodec{decoded: &decoded}
			g := newCallers(newStanding(t), rpc.NewMethod[string, string]("count", codec), rpc.Config{OnEvent: func(rpc.Payload) { before = decoded }}, make([]string, many))
			greet(g.f, g.peer)
			var frames strings.Builder
			for i := range g.ends {
				frames.WriteString(cborReply(t, i+1, "a reply"))
			}
			say(g.f, g.peer, frames.String()+frame(0, "an event"))
			g.f.until(func() bool { return g.c.InFlight() == 0 })
			g.all.Wait()
			if before != many || decoded != many {
				t.Errorf("of %d replies %d were decoded before the event behind them, and %d in all", many, before, decoded)
			}
			for i, e := range g.ends {
				if e != (ending[string]{resp: "a reply"}) {
					t.Errorf("call %d has ended: %+v", i, e)
				}
			}
		})
	}
}

// countingCodec is CBOR, and counts on one goroutine, as the race detector sees.
type countingCodec struct {
	cborcodec.Codec
	decoded *int
}

func (c countingCodec) Decode(data []byte, value any) error {
	*c.decoded++
	return c.Codec.Decode(data, value)
}
