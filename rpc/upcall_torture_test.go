package rpc_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// moody answers calls at once, later, with an error, or when there is nothing else to do.
type moody struct {
	random *rand.Rand
	open   []rpc.Done
	told   int
}

func (m *moody) answer(request rpc.Payload, done rpc.Done) {
	switch m.random.IntN(4) {
	case 0:
		done.ReplyBytes(request)
	case 1:
		done.Fail(errors.New("in a bad mood"))
	default:
		done.OnCancel(func(error) { m.told++ })
		m.open = append(m.open, done)
	}
	if m.random.IntN(8) == 0 {
		m.answerSome(1 + m.random.IntN(len(m.open)+1))
	}
}

func (m *moody) answerSome(n int) {
	for ; n > 0 && len(m.open) > 0; n-- {
		i := m.random.IntN(len(m.open))
		m.open[i].Reply("at last")
		m.open[i] = m.open[len(m.open)-1]
		m.open = m.open[:len(m.open)-1]
	}
}

// Whatever is answered, cancelled and late, and however it ends, every call of either side
// ends once.
func TestUpcallsAmongCancelsDeadlinesAndEnds(t *testing.T) {
	for server, name := range []string{"sync", "goroutines", "async"} {
		for _, end := range []string{"shutdown", "kill", "close"} {
			t.Run(name+"/"+end, func(t *testing.T) {
				for range 20 {
					torture(t, byte(server), end)
				}
			})
		}
	}
}

func torture(t *testing.T, server byte, end string) {
	f := newFixture(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var counts askingCounts
	var w watched
	config := rpctest.Config{Seed: seed, ToChild: rpctest.Faults{Piece: random.IntN(100)}}
	tr := rpctest.StartWith(t, f.Loop, config, func(fds rpc.FDs) error { return serveAsking(fds, server, &counts) })
	m := &moody{random: random}
	c := f.client(tr, peer{}, w.config(rpc.Config{OnCall: m.answer, MaxUpcalls: 1 + random.IntN(5)}))
	var calls []*result
	for i := range 60 {
		var options rpc.CallOptions
		if random.IntN(3) == 0 {
			options = within(time.Duration(random.IntN(2000)) * time.Microsecond)
		}
		r, id := f.beginWith(c, options, fmt.Sprint("call ", i))
		calls = append(calls, r)
		if random.IntN(4) == 0 {
			must(t, f.Poll(0))
		}
		if random.IntN(4) == 0 {
			c.Cancel(id)
		}
		if random.IntN(4) == 0 {
			m.answerSome(random.IntN(3))
		}
	}
	switch end {
	case "kill":
		tr.Kill()
	case "close":
		tr.Abort(errors.New("enough"))
	default:
		c.Shutdown()
	}
	f.until(func() bool { m.answerSome(1); return w.ended() })
	err := tr.Wait()
	checkTorture(t, seed, calls, &counts)
	if end == "shutdown" && (w.destroyed != 1 || err != nil) {
		t.Errorf("seed %d: OnError got %v, the server returned %v", seed, w.err, err)
	}
}

func checkTorture(t *testing.T, seed uint64, calls []*result, counts *askingCounts) {
	t.Helper()
	for i, r := range calls {
		if r.ends != 1 {
			t.Errorf("seed %d: call %d ended %d times", seed, i, r.ends)
		}
	}
	if counts.made.Load() != counts.ended.Load() {
		t.Errorf("seed %d: %d calls of the child were made, %d have ended", seed, counts.made.Load(), counts.ended.Load())
	}
}
