package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
)

// What a program does with a client, what its child does, and what the clock does, in every order of so many steps. The child is
// scripted, the goroutines that call are in a bubble, and so an order is the same every time.

const callSteps = "gdcCTwGxS" + "hrazeHDEIV"

// step is what the program or the clock does, or the child.
func (o *orderedCalls) step(step byte) {
	switch step {
	case 'g':
		o.call(0, false)
	case 'd':
		o.call(time.Second, false)
	case 'c':
		o.cancel(0)
	case 'C':
		o.cancel(len(o.calls) - 1)
	case 'G':
		o.goroutine()
	case 'x':
		o.endContext()
	case 'w':
		o.waitReady()
	case 'T':
		o.clock.Advance(time.Second)
	case 'S':
		o.closing = true
		o.client.Shutdown()
	case panicStep:
		o.panics()
	default:
		o.childStep(step)
	}
}

func (o *orderedCalls) childStep(step byte) {
	switch step {
	case 'h':
		o.child.hello()
	case 'r':
		o.child.readAll()
	case 'a':
		o.answer(false, false)
	case 'z':
		o.answer(o.wire != rpc.AnyEventSync, false)
	case 'e':
		o.answer(false, true)
	case 'H':
		o.hold()
	case 'D':
		o.dead = true
		o.child.die()
	case 'E':
		o.dead = true
		o.child.closeOutput()
	case 'I':
		o.mayDie = true
		o.child.closeInput()
	case 'V':
		o.dead = true
		o.child.say(frame(0x70000000, ""))
	}
}

// orderedCalls is one order, and what has come of it.
type orderedCalls struct {
	t     *testing.T
	loop  *reactor.Loop
	clock *reactortest.Clock
	callsWay

	client  *rpc.Client
	child   *scriptedChild
	calls   []*orderedEnd
	callers []*orderedCaller
	armed   string        // steps to be taken in callbacks
	looked  time.Duration // when the loop read the clock
	busy    string        // which function of the client is being called
	closing bool          // Shutdown was called
	dead    bool          // the child has ended, or will be put down
	mayDie  bool          // the child may have to be put down
	held    bool          // the child wants no calls
	lets    bool          // it wants some again, which the client has yet to read
	over    int           // OnError and OnDestroy
	err     error
	readies []*int // how often each function of WaitReady was called
	failed  bool
}

// callsWay is what differs between the runs of one order.
type callsWay struct {
	steps   string
	gap     int // iterations between two steps
	wire    rpc.Wire
	stuffed bool
	patient bool // no AbandonTimeout
	greeted bool // the child says hello before the first step
	finale  byte // what happens after the last
}

// orderedEnd is a call made on the loop.
type orderedEnd struct {
	o         *orderedCalls
	payload   string
	id        rpc.CallID
	due       time.Duration // 0: no deadline
	stale     time.Duration // how old the loop's Now was
	cancelled bool
	ends      int
	reply     string
	err       error
}

// orderedCaller is a call of a goroutine.
type orderedCaller struct {
	payload string
	cancel  context.CancelFunc
	gone    bool // cancel was called
	ends    int
	reply   string
	err     error
}

const (
	orderedLimit = 2 // MaxInFlight
	answerPrefix = "re: "
)

func (o *orderedCalls) errorf(format string, args ...any) {
	o.t.Helper()
	o.failed = true
	o.t.Errorf("%+v: %s", o.callsWay, fmt.Sprintf(format, args...))
}

// callback is called by every callback: it takes a step that was left for one.
func (o *orderedCalls) callback() {
	if o.busy != "" {
		o.errorf("a callback inside %s", o.busy)
	}
	if o.armed != "" {
		step := o.armed[0]
		o.armed = o.armed[1:]
		o.survive(step)
		synctest.Wait()
	}
}

// inside calls a function of the client, which must not call back.
func (o *orderedCalls) inside(name string, fn func()) {
	before := o.busy
	o.busy = name
	defer func() { o.busy = before }()
	fn()
}

// Complete implements rpc.Completion.
func (e *orderedEnd) Complete(reply rpc.Payload, err error) {
	e.ends++
	e.reply, e.err = string(reply), err
	o := e.o
	o.mayDie = o.mayDie || err == rpc.ErrDeadline && o.t1()
	if e.o.over > 0 {
		e.o.errorf("%s ends behind its client", e.payload)
	}
	e.o.checkEnd(e.payload, e.reply, err, e.cancelled, e.due)
	if e.cancelled && err != rpc.ErrCanceled {
		e.o.errorf("%s was cancelled and ended with %v", e.payload, err)
	}
	e.o.callback()
}

// checkEnd checks that a call may end so by what has happened before.
func (o *orderedCalls) checkEnd(payload, reply string, err error, cancelled bool, due time.Duration) {
	call := o.child.find(payload)
	lost, isLost := errors.AsType[*rpc.LostError](err)
	remote, isRemote := errors.AsType[*rpc.RemoteError](err)
	ok := false
	switch {
	case err == nil:
		ok = call != nil && call.answered && reply == answerPrefix+payload
	case isRemote:
		ok = call != nil && call.answered && remote.Message == payload
	case isLost:
		ok = (o.dead || o.mayDie) && (lost.Started || call == nil)
	case err == rpc.ErrDeadline:
		ok = due > 0 && o.clock.Monotonic() >= due
	case errors.Is(err, rpc.ErrCanceled):
		ok = cancelled
	case err == rpc.ErrShutdown:
		ok = o.closing && !cancelled && call == nil
	}
	if !ok {
		o.errorf("%s ends with %q, %v; the child: %+v", payload, reply, err, call)
	}
}

// call makes a call on the loop, typed or not.
func (o *orderedCalls) call(after time.Duration, typed bool) {
	e := &orderedEnd{o: o, payload: fmt.Sprint("call ", len(o.calls))}
	var options rpc.CallOptions
	if after > 0 {
		e.due = o.clock.Monotonic() + after
		e.stale = o.clock.Monotonic() - o.looked
		options.Deadline = o.clock.Wall().Add(after)
	}
	before := o.client.InFlight()
	var err error
	o.inside("GoWith", func() { e.id, err = o.client.GoWith(e, options, []byte(e.payload)) })
	if err == nil {
		o.calls = append(o.calls, e)
	}
	o.checkRefusal("GoWith", err, before, o.client.InFlight())
}

// checkRefusal checks what a call was refused with, or that it was not.
func (o *orderedCalls) checkRefusal(name string, err error, before, after int) {
	lost, isLost := errors.AsType[*rpc.LostError](err)
	ok := before == after
	switch {
	case err == nil:
		ok = after == before+1 && before < orderedLimit && o.over == 0
	case err == rpc.ErrFull:
		ok = ok && (before >= orderedLimit || o.held || o.lets || o.stuffed) && o.over == 0
	case err == rpc.ErrShutdown:
		ok = ok && o.closing
	case isLost:
		ok = ok && (o.dead || o.mayDie || o.over > 0) && !lost.Started
	default:
		ok = false
	}
	if o.closing && err == nil {
		ok = false
	}
	if !ok && !(isLost && o.over > 0) {
		o.errorf("%s returns %v with %d calls in flight, %d then", name, err, before, after)
	}
}

func (o *orderedCalls) cancel(i int) {
	for ; i >= 0 && i < len(o.calls); i++ {
		if e := o.calls[i]; e.ends == 0 && !e.cancelled || i == len(o.calls)-1 {
			may := e.ends == 0 && !e.cancelled
			var did bool
			o.inside("Cancel", func() { did = o.client.Cancel(e.id) })
			if did && !may {
				o.errorf("Cancel says that %s was in flight", e.payload)
			}
			e.cancelled = e.cancelled || did
			if o.t1() && did {
				o.mayDie = true
			}
			return
		}
	}
}

// t1 reports whether the child may be put down for not answering.
func (o *orderedCalls) t1() bool { return !o.patient }

func (o *orderedCalls) waitReady() {
	n := new(int)
	var err error
	o.inside("WaitReady", func() {
		err = o.client.WaitReady(func() {
			if *n++; *n > 1 {
				o.errorf("a function of WaitReady is called again")
			}
			o.callback()
		})
	})
	if err == nil {
		o.readies = append(o.readies, n)
	}
	if err == nil && (o.over > 0 || o.closing) || err != nil && !o.closing && !o.dead && !o.mayDie && o.over == 0 {
		o.errorf("WaitReady returns %v", err)
	}
}

func (o *orderedCalls) goroutine() {
	ctx, cancel := context.WithCancel(context.Background())
	g := &orderedCaller{payload: fmt.Sprint("caller ", len(o.callers)), cancel: cancel}
	o.callers = append(o.callers, g)
	go func() {
		reply, err := o.client.CallBytes(ctx, []byte(g.payload))
		g.ends++
		g.reply, g.err = string(reply), err
	}()
	synctest.Wait()
}

func (o *orderedCalls) endContext() {
	synctest.Wait() // one whose call has ended may have yet to see it
	for _, g := range o.callers {
		if !g.gone && g.ends == 0 {
			g.gone = true
			g.cancel()
			synctest.Wait()
			if g.ends == 0 {
				o.errorf("%s does not end with its ctx", g.payload)
			}
			o.mayDie = o.mayDie || o.t1()
			return
		}
	}
}

func (o *orderedCalls) answer(last, fails bool) {
	o.child.answer(last, fails)
}

func (o *orderedCalls) hold() {
	if o.wire != rpc.Evfork || !o.child.greeted {
		return
	}
	o.held = !o.held
	if o.held {
		o.child.say(frame(holdKind|1, ""))
	} else {
		o.lets = true
		o.child.say(frame(holdKind, ""))
	}
}

func (o *orderedCalls) panics() {
	o.mayDie = true
	panic(errOrdered)
}

// poll lets the loop go round, and the goroutines do what they can. A panic is survived.
func (o *orderedCalls) poll(times int) {
	for range times {
		o.looked = o.clock.Monotonic()
		lets := o.lets
		if err := o.loop.Poll(0); err != nil {
			o.errorf("Poll: %v", err)
		}
		o.lets = o.lets && !lets
		if len(o.callers) > 0 {
			synctest.Wait()
		}
	}
}

// survive takes a step in which a callback may panic: Shutdown calls the functions of WaitReady.
func (o *orderedCalls) survive(step byte) { survive(func() { o.step(step) }) }

const callSettled = 8

// run takes the steps and ends what they have left.
func (o *orderedCalls) run() {
	o.start()
	if o.greeted {
		o.child.hello()
		o.poll(2)
	}
	for i := 0; i < len(o.steps); i++ {
		step := o.steps[i]
		if step == inCallback {
			if i++; i < len(o.steps) {
				o.armed += o.steps[i : i+1]
			}
			continue
		}
		o.survive(step)
		synctest.Wait()
		o.poll(o.gap)
	}
	o.settle()
	o.checkSettled()
	o.conclude()
	o.checkOver()
}

func (o *orderedCalls) start() {
	child, r, w := newScriptedChild(o.t, o.stuffed)
	child.illegal, child.wire, child.features = o.errorf, o.wire, "cancel metadata"
	child.reply = func(request string) string { return answerPrefix + request }
	o.child = child
	config := rpc.Config{Wire: o.wire, MaxInFlight: orderedLimit,
		OnDestroy: func() { o.over++; o.callback() },
		OnError:   func(err error) { o.over++; o.err = err; o.callback() },
	}
	if o.stuffed {
		config.MaxBuffered = 300
	}
	if !o.patient {
		config.AbandonTimeout = time.Second
	}
	var err error
	o.client, err = rpc.NewClient(rpc.NewStreamTransport(o.loop, r, w), config)
	if err != nil {
		o.errorf("%v", err)
	}
}

func (o *orderedCalls) settle() { o.poll(callSettled) }

// checkSettled checks what must have happened while nothing is underway.
func (o *orderedCalls) checkSettled() {
	now := o.clock.Monotonic()
	for _, e := range o.calls {
		call := o.child.find(e.payload)
		must := e.cancelled || e.due > 0 && now >= e.due+e.stale || o.over > 0 || call != nil && call.answered && !o.child.dead()
		if must && e.ends != 1 {
			o.errorf("%s has ended %d times (cancelled: %t, due %v, now %v)", e.payload, e.ends, e.cancelled, e.due, now)
		}
	}
	for _, g := range o.callers {
		call := o.child.find(g.payload)
		must := g.gone || o.over > 0 || call != nil && call.answered && !o.child.dead()
		if must && g.ends != 1 {
			o.errorf("%s has ended %d times", g.payload, g.ends)
		}
	}
	if o.dead && o.over == 0 {
		o.errorf("the client does not end with its child")
	}
}

// dead: its output is closed, what it said before may have been lost by a write error.
func (s *scriptedChild) dead() bool { return !s.alive() }

// conclude ends what is left, in one of several ways.
func (o *orderedCalls) conclude() {
	o.armed = ""
	switch {
	case o.over > 0:
	case o.finale == 'D':
		o.dead = true
		o.child.die()
	case o.finale == 'R':
		o.dead = true
		o.child.readAll()
		o.child.die()
	default:
		o.finish()
	}
	o.settle()
}

// finish has everything answered, and the client shut down.
func (o *orderedCalls) finish() {
	o.child.hello()
	if o.held {
		o.hold()
	}
	o.settle()
	o.child.readAll()
	o.settle()
	o.checkCancels()
	for o.child.answer(false, false) != nil {
		o.settle()
	}
	if o.over > 0 {
		return // AbandonTimeout, or it had closed its input
	}
	o.settle()
	if !o.child.alive() {
		o.child.die()
		o.dead = true
		o.settle()
		return
	}
	if n := o.client.InFlight(); n > 0 || rpc.AnyWaiting(o.client) {
		o.errorf("%d calls are in flight, and others wait: %t", n, rpc.AnyWaiting(o.client))
	}
	for i, n := range o.readies {
		if *n != 1 {
			o.errorf("function %d of WaitReady was called %d times", i, *n)
		}
	}
	if !o.closing {
		if o.child.ended {
			o.errorf("the child was given an EOF")
		}
		o.call(0, false)
		o.settle()
		o.child.answer(false, false)
		o.settle()
		o.step('S')
		o.settle()
	}
	o.child.readAll()
	if !o.child.ended {
		o.errorf("the child is given no EOF")
	}
	o.child.die()
	o.settle()
	if o.err != nil {
		o.errorf("the client ends with %v", o.err)
	}
}

// checkCancels checks that the child was told of those cancels that it had to be told of.
func (o *orderedCalls) checkCancels() {
	for _, e := range o.calls {
		call := o.child.find(e.payload)
		if call == nil {
			if o.over == 0 && o.child.alive() {
				o.errorf("%s has not reached the child", e.payload)
			}
			continue
		}
		gone := e.err == rpc.ErrCanceled || e.err == rpc.ErrDeadline
		if call.cancelled && !gone {
			o.errorf("the child is told that %s was cancelled, which ended with %v", e.payload, e.err)
		}
		if gone && !call.cancelled && !call.answered && !o.closing && o.wire == rpc.Evfork && o.over == 0 && o.child.alive() {
			o.errorf("the child is not told that %s has ended with %v", e.payload, e.err)
		}
	}
}

// checkOver checks what is left when the client has ended.
func (o *orderedCalls) checkOver() {
	if o.over != 1 {
		o.errorf("OnError and OnDestroy were called %d times (%v)", o.over, o.err)
	}
	for _, e := range o.calls {
		if e.ends != 1 {
			o.errorf("%s has ended %d times", e.payload, e.ends)
		}
	}
	for _, g := range o.callers {
		if g.ends != 1 {
			o.errorf("%s has ended %d times", g.payload, g.ends)
			continue
		}
		o.checkEnd(g.payload, g.reply, g.err, g.gone, 0)
		g.cancel()
	}
	for i, n := range o.readies {
		if *n != 1 {
			o.errorf("function %d of WaitReady was called %d times", i, *n)
		}
	}
	s := o.loop.Stats()
	if n := o.client.InFlight(); n > 0 || rpc.AnyWaiting(o.client) || s.Timing > 0 || s.Streams > 0 || s.Refs > 0 {
		o.errorf("%d calls are left, %d timers, %d streams, %d references", n, s.Timing, s.Streams, s.Refs)
	}
	o.child.die()
	if err := o.loop.Verify(); err != nil {
		o.errorf("%v", err)
	}
}

// callWorld is the loop of many orders.
func callWorld(t *testing.T) orderedCalls {
	loop, clock := newOrderedLoop(t)
	t.Cleanup(func() { closeLoop(loop) })
	return orderedCalls{t: t, loop: loop, clock: clock}
}

// Every order of three steps, in twelve ways.
func TestEveryOrderOfCalls(t *testing.T) {
	length := 3
	if testing.Short() || raceDetector {
		length = 2
	}
	synctest.Test(t, func(t *testing.T) {
		world := callWorld(t)
		eachOrder(callSteps, length, func(steps string) {
			for i := range 12 {
				o := world
				o.callsWay = callsWay{steps: steps, gap: []int{0, 1, callSettled}[i%3], stuffed: i/3%2 > 0, patient: i/6 > 0, finale: "ADR"[(i+len(steps))%3]}
				o.greeted = steps[0] != 'h'
				o.run()
			}
		})
	})
}

// Every order of two steps while the callbacks between them take one, or panic.
func TestEveryOrderOfCallsInCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := callWorld(t)
		eachOrder("gdcwaTSD", 2, func(steps string) {
			for i := range "gcxwSDTPa" {
				for gap := range 2 {
					o := world
					o.callsWay = callsWay{steps: steps[:1] + "^" + "gcxwSDTPa"[i:i+1] + steps[1:], gap: gap, greeted: true, patient: i%2 > 0, finale: "ADR"[i%3]}
					o.run()
				}
			}
		})
	})
}

// tortureCalls takes many random orders.
func tortureCalls(t *testing.T, random *rand.Rand) {
	world := callWorld(t)
	flip := func() bool { return pick(random, true, false) }
	for range tortureOrders {
		o := world
		o.callsWay = callsWay{steps: randomOrder(random, callSteps+"^^P", longestOrder), gap: pick(random, 0, 1, callSettled), finale: pick[byte](random, 'A', 'D', 'R'),
			stuffed: flip(), patient: flip(), greeted: flip(), wire: pick(random, rpc.Evfork, rpc.Evfork, rpc.AnyEventSync)}
		o.greeted = o.greeted || o.wire != rpc.Evfork
		o.run()
	}
}
