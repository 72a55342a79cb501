package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// TestChaosEveryCallEndsExactlyOnce makes calls to several children that are
// killed, stopped, continued and started again at random moments.
// EVFORK_TORTURE=1m does so with new seeds for a minute, EVFORK_SEED=n with the
// seed n.
func TestChaosEveryCallEndsExactlyOnce(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64, total int) { newChaos(t, seed, total).run() })
}

// eachSeed runs chaos with a new seed each time, for EVFORK_TORTURE, once at least.
// EVFORK_CHAOS_CALLS is how many calls one run makes.
func eachSeed(t *testing.T, run func(t *testing.T, seed uint64, total int)) {
	total := 100_000
	if testing.Short() {
		total = 10_000
	}
	if n, err := strconv.Atoi(os.Getenv("EVFORK_CHAOS_CALLS")); err == nil && n > 0 {
		total = n
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("EVFORK_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		must(t, err)
		seed = n
	}
	torture, err := time.ParseDuration(os.Getenv("EVFORK_TORTURE"))
	if err != nil {
		torture = 0
	}
	for start := time.Now(); ; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("EVFORK_SEED=%d", seed)
			run(t, seed, total)
		})
		if t.Failed() || time.Since(start) >= torture {
			return
		}
	}
}

// chaos is one run: a few children, each with so many calls in flight, until a
// total has been made and has ended.
type chaos struct {
	*fixture
	random  *rand.Rand
	victims []*victim
	total   int
	ends    []uint8 // by call: how often it has ended
	marks   string  // file with a byte for each call that a child has begun
	safe    []int   // the calls that were lost and have certainly not been begun

	memory flatness

	replied, lost, events, kills, stops int
	piped                               int // of the replies, those to streamed calls

	disturbed   time.Time // the last time
	repliedThen int
	patience    time.Duration // with liars, which may have lost what would go on
}

// victim is a child that is started again whenever it has been killed.
type victim struct {
	chaos  *chaos
	peer   peer
	proc   *child.Process
	client *rpc.Client
	lies   bool // its connection goes wrong
	ended  bool // no new one is started any more
	gaveUp bool // the run waited for this child too long
	done   int  // calls that have ended, of all children
}

// inFlight is how many calls each child has at a time.
const inFlight = 64

func newChaos(t *testing.T, seed uint64, total int) *chaos {
	c := &chaos{fixture: newFixture(t), random: rand.New(rand.NewPCG(seed, 0)), total: total, patience: guard}
	c.ends = make([]uint8, 0, total)
	c.marks = filepath.Join(t.TempDir(), "marks")
	must(t, os.WriteFile(c.marks, make([]byte, total), 0o600))
	for _, p := range []peer{
		{transport: "pipes", server: "sync", mirror: true, pipes: true, window: chaosWindow},
		{transport: "pipes", server: "async", mirror: true, pipes: true, window: chaosWindow},
		{transport: "pipes", server: "goroutines", mirror: true, pipes: true, window: chaosWindow},
		{transport: "stdio", server: "async", wire: rpc.AnyEventAsync, mirror: true},
		{transport: "pipes", server: "goroutines", wire: rpc.AnyEventSync, mirror: true},
	} {
		p.marks = c.marks
		c.victims = append(c.victims, &victim{chaos: c, peer: p})
	}
	return c
}

func (c *chaos) run() {
	defer func() { c.total = 0 }() // a run that failed starts no more children
	for _, v := range c.victims {
		v.start()
	}
	c.disturb()
	c.watch(-1)
	must(c.t, c.RunUntil(context.Background(), func() bool {
		for _, v := range c.victims {
			if !v.ended {
				return false
			}
		}
		return true
	}))
	for i, n := range c.ends {
		if n != 1 {
			c.t.Fatalf("call %d ended %d times", i, n)
		}
	}
	begun, err := os.ReadFile(c.marks)
	must(c.t, err)
	for _, n := range c.safe {
		if begun[n] != 0 {
			c.t.Fatalf("call %d was begun, and Started is false", n)
		}
	}
	c.memory.check(c.t)
	if c.piped == 0 {
		c.t.Error("no streamed call was answered")
	}
	c.t.Logf("%d calls: %d replies, %d to streamed ones, %d lost, of these %d certainly not started; %d events, %d kills, %d stops",
		len(c.ends), c.replied, c.piped, c.lost, len(c.safe), c.events, c.kills, c.stops)
	if len(c.ends) < c.total || c.replied+c.lost != len(c.ends) {
		c.t.Errorf("of %d calls %d have ended", len(c.ends), c.replied+c.lost)
	}
	if c.kills > 20 && c.lost == 0 {
		c.t.Errorf("%d kills have cost no call", c.kills)
	}
}

// watch ends a run in which no call has ended for as long as a test may take; how long
// the run takes is a matter of its total.
func (c *chaos) watch(before int) {
	done := c.replied + c.lost
	if done == before {
		c.t.Errorf("no call has ended for %v, after %d", guard, done)
		for _, v := range c.victims {
			c.t.Logf("the %v child: %d calls in flight, patience %v", v.peer, v.client.InFlight(), c.patience)
		}
		c.Stop()
	}
	c.AfterFunc(guard, func() { c.watch(done) }).Unref()
}

func (v *victim) start() {
	// A child may be stopped before it has said hello, and the machine be busy.
	v.proc = v.chaos.spawn(v.peer, child.Config{StartTimeout: guard})
	config := rpc.Config{OnError: v.onError, OnDestroy: v.onDestroy}
	if v.peer.floods || v.lies {
		config.OnEvent = func(rpc.Payload) { v.chaos.events++ }
	}
	v.client = v.chaos.client(v.transport(), v.peer, config)
	v.gaveUp = false
	if v.lies {
		v.expect(v.done)
	}
	v.fill()
}

// fill keeps the child busy, and lets it go when all calls have been made.
func (v *victim) fill() {
	c := v.chaos
	for v.client.InFlight() < inFlight && len(c.ends) < c.total {
		call := &chaosCall{v, len(c.ends)}
		if err := call.begin(); err != nil {
			return // the child is being lost: its successor goes on
		}
		c.ends = append(c.ends, 0)
	}
	if len(c.ends) >= c.total {
		v.client.Shutdown()
	}
}

func (v *victim) onError(err error) {
	var exit *child.ExitError
	if !errors.As(err, &exit) || !v.lies && exit.State.Signal != syscall.SIGKILL {
		v.chaos.t.Errorf("the %v child ended with %v", v.peer, err)
	}
	v.goOn()
}

// onDestroy is the end, but for a child that was told so by its connection.
func (v *victim) onDestroy() {
	if !v.lies && len(v.chaos.ends) < v.chaos.total {
		v.chaos.t.Errorf("the %v child ended by itself", v.peer)
	}
	v.goOn()
}

// goOn starts the next child, unless nothing is left to be called.
func (v *victim) goOn() {
	if len(v.chaos.ends) >= v.chaos.total {
		v.ended = true
		return
	}
	v.start()
}

// chaosCall is one call, which knows its number.
type chaosCall struct {
	victim *victim
	n      int
}

func (k *chaosCall) payload() string { return strconv.Itoa(k.n) }

func (k *chaosCall) Complete(reply rpc.Payload, err error) {
	c := k.victim.chaos
	c.ends[k.n]++
	k.victim.done++
	if err != nil {
		k.isLost(err)
		return
	}
	c.replied++
	c.memory.sample(c.replied+c.lost, c.total)
	// What a liar answers may be anything.
	if value, _, err := reply.Next(); !k.victim.lies && (err != nil || string(value) != k.payload()) {
		c.t.Errorf("call %d was answered %q, %v", k.n, value, err)
	}
	if c.random.IntN(1500) == 0 {
		c.victims[c.random.IntN(len(c.victims))].kill()
	}
	k.victim.fill()
}

// isLost checks the error: a kill -9 is signal 9, whatever was seen first.
func (k *chaosCall) isLost(err error) {
	c := k.victim.chaos
	c.lost++
	if _, ok := errors.AsType[*rpc.RemoteError](err); (ok || errors.Is(err, rpc.ErrDeadline)) && k.victim.lies {
		return
	}
	var lost *rpc.LostError
	var exit *child.ExitError
	switch {
	case !errors.As(err, &lost) || !errors.As(err, &exit):
		c.t.Errorf("call %d ended with %v", k.n, err)
		return
	case k.victim.lies:
	case exit.State.Signal != syscall.SIGKILL || exit.State.Asked != child.AskedByNobody || exit.Reason != nil:
		c.t.Errorf("call %d was lost to %v, asked for by %d, reason %v", k.n, exit.State, exit.State.Asked, exit.Reason)
	}
	if !lost.Started {
		c.safe = append(c.safe, k.n)
	}
}

// kill is kill -9 from elsewhere, as far as this process can tell.
func (v *victim) kill() {
	if v.proc.Signal(syscall.SIGKILL) == nil {
		v.chaos.kills++
	}
}

// disturb does something to some child every now and then, until the end. On a busy
// machine it first waits for replies, or no child would live long enough to give one.
func (c *chaos) disturb() {
	d := time.Duration(c.random.IntN(4000)) * time.Microsecond
	c.AfterFunc(d, c.disturb).Unref()
	if c.replied < c.repliedThen+inFlight/2 && c.Now().Sub(c.disturbed) < c.patience {
		return
	}
	c.disturbed, c.repliedThen = c.Now(), c.replied
	v := c.victims[c.random.IntN(len(c.victims))]
	switch c.random.IntN(8) {
	case 0:
		v.kill()
	case 1, 2, 3:
		if proc := v.proc; proc.Signal(syscall.SIGSTOP) == nil {
			c.stops++
			d := time.Duration(c.random.IntN(5000)) * time.Microsecond
			c.AfterFunc(d, func() { proc.Signal(syscall.SIGCONT) })
		}
	case 4: // killed while it is stopped
		if v.proc.Signal(syscall.SIGSTOP) == nil {
			c.stops++
			v.kill()
		}
	}
}
