package rpc_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// TestChaosOfLyingChildren is TestChaosEveryCallEndsExactlyOnce with children that
// flood their parent with events, and whose connections lose, repeat and invent
// bytes, end, and are slow. Only the children's side lies: what a handler was asked is
// still what the parent has sent.
func TestChaosOfLyingChildren(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64, total int) {
		c := newChaos(t, seed, total)
		c.patience = shortPatience
		for i, v := range c.victims {
			v.peer.floods = i%2 == 0
			v.lies = true
		}
		honest := peer{transport: "pipes", server: "goroutines", mirror: true, marks: c.marks, floods: true}
		c.victims = append(c.victims, &victim{chaos: c, peer: honest})
		c.run()
		if c.events == 0 {
			t.Error("no event has come")
		}
	})
}

// transport is what the client of a child is given.
func (v *victim) transport() rpc.Transport {
	if !v.lies {
		return v.proc
	}
	v.chaos.memory.wrapped++
	return rpctest.Wrap(v.chaos.t, v.chaos.Loop, v.proc, v.chaos.lies())
}

// shortPatience is how long a streamed call to a liar may take at first, longPatience how
// long it ever may, and how long a liar may live without an end of any of its calls: lost
// bytes may have both sides wait for each other. Between the two the time doubles with each
// child that was given up, and halves with each streamed call that is answered: how long
// a child needs to start and to answer is a matter of how busy the machine is.
const (
	shortPatience = 100 * time.Millisecond
	longPatience  = guard / 8
)

// expect gives the liar up if none of its calls ends.
func (v *victim) expect(before int) {
	proc := v.proc
	v.chaos.AfterFunc(longPatience, func() {
		switch {
		case v.proc != proc: // its successor has its own
		case v.done == before:
			v.giveUp()
		default:
			v.expect(v.done)
		}
	}).Unref()
}

// giveUp kills a liar. Several of its calls may say so: the patience doubles once.
func (v *victim) giveUp() {
	if !v.gaveUp {
		v.gaveUp = true
		v.chaos.patience = min(v.chaos.patience*2, longPatience)
	}
	v.kill()
}

// lies draws what is wrong with a connection: usually one thing, at some time.
func (c *chaos) lies() rpctest.Config {
	config := rpctest.Config{Seed: c.random.Uint64() | 1, EOFWait: 20 * time.Millisecond}
	config.ToChild.Piece, config.ToParent.Piece = 64+c.random.IntN(5000), 64+c.random.IntN(5000)
	config.ToChild.RandomPieces, config.ToParent.RandomPieces = true, true
	if c.random.IntN(4) == 0 { // slow
		config.ToParent.Delay, config.ToParent.RandomDelay = time.Millisecond, true
	}
	at := c.random.Int64N(100_000)
	garbage := make([]byte, 1+c.random.IntN(40))
	for i := range garbage {
		garbage[i] = byte(c.random.Uint32())
	}
	n := 1 + c.random.IntN(100)
	faults := []rpctest.Fault{
		{At: at, Do: rpctest.Insert, Data: garbage},
		{At: at, Do: rpctest.Insert, Data: []byte(frame(1+uint32(at)%5000, "a reply nobody waits for, or somebody"))},
		{At: at, Do: rpctest.Insert, Data: []byte("Segmentation fault\n")},
		{At: at, Do: rpctest.Repeat, N: n},
		{At: at, Do: rpctest.Drop, N: n},
		{At: at, Do: rpctest.HalfClose},
		{At: at, Do: rpctest.Kill},
	}
	if i := c.random.IntN(len(faults) + 2); i < len(faults) {
		config.ToParent.List = faults[i : i+1]
	} else {
		config.ToChild.List = []rpctest.Fault{{At: at, Do: []rpctest.Action{rpctest.HalfClose, rpctest.Kill}[i-len(faults)]}}
	}
	return config
}

// memorySlack is how much the memory of a run may grow after its first tenth, where
// everything has its size: what the test itself notes. wrapSlack is for each transport of
// rpctest, which the test's cleanup knows until the end.
const (
	memorySlack = 32 << 20
	wrapSlack   = 4 << 10
)

// flatness compares the memory in use after the first tenth of a run and at its end.
type flatness struct {
	early   uint64
	wrapped uint64 // transports of rpctest so far
}

func (f *flatness) sample(done, total int) {
	if f.early == 0 && done >= total/10 {
		f.early = inUse()
	}
}

func (f *flatness) check(t *testing.T) {
	t.Helper()
	if late := inUse(); late > f.early+memorySlack+f.wrapped*wrapSlack {
		t.Errorf("%d bytes are in use, %d were after a tenth of the calls", late, f.early)
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
