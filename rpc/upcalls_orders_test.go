package rpc_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
)

// What a child under ServeAsync that calls its parent can do, and the parent, in every order of so many steps. Both live on one loop,
// and each finds it a violation if the other does not keep to the protocol. See upcalls_waiting_orders_test.go for the other servers.

const upcallSteps = "udcCraAexSKVTP^"

// step is what the child does, or the parent, or the clock.
func (o *orderedUpcalls) step(step byte) {
	switch step {
	case 'u':
		o.call(0)
	case 'd': // they take turns to be due
		o.call(time.Duration(1+len(o.calls)%2) * time.Second)
	case 'c':
		o.cancel(false)
	case 'C':
		o.cancel(true)
	case 'r':
		o.reply()
	case 'a', 'A', 'e':
		o.answer(step)
	case 'x':
		o.forgotten = o.client.Cancel(o.call1) || o.forgotten
	case 'S':
		o.closing = true
		o.client.Shutdown()
	case 'K':
		o.cut = true
		o.link.Abort(errOrdered)
	case 'V':
		o.mayFail = o.server.Event("that the parent does not want") == nil || o.mayFail
	case 'T':
		o.late = true
		o.clock.Advance(time.Second)
	}
}

// upcallsWay is what differs between the runs of one order.
type upcallsWay struct {
	steps string
	wait  int  // iterations before the first step
	gap   int  // and between two
	tight bool // the parent's buffer has room for one answer
}

// orderedUpcalls is one order, and what has come of it.
type orderedUpcalls struct {
	t     *testing.T
	loop  *reactor.Loop
	clock *reactortest.Clock
	upcallsWay

	client  *rpc.Client
	link    *rpc.StreamTransport
	server  *rpc.Server
	call1   rpc.CallID // of the parent
	ours    *rpc.Done  // the parent's call, in the child; nil until it is there, and when it is answered
	ourEnds int
	ourErr  error
	calls   []*orderedUpcall
	armed   string // steps to be taken in callbacks
	starved bool   // a call of the child was refused for want of room
	drains  int

	replied   bool // the parent's call was answered
	panicked  bool // its handler has
	forgotten bool // it was cancelled
	closing   bool // Shutdown was called
	cut       bool // the connection was
	mayFail   bool // it may have to be: a violation, or a panic
	late      bool // the clock has advanced
	over      int  // OnError and OnDestroy
	served    bool // ServeAsync has returned
	concluded bool
}

// orderedUpcall is a call of the child, on both sides.
type orderedUpcall struct {
	o         *orderedUpcalls
	name      string
	id        rpc.CallID
	due       time.Duration // 0: no deadline
	stale     time.Duration // how old the loop's Now was
	cancelled bool
	ends      int
	err       error
	done      *rpc.Done // nil until the parent has it
	told      int       // how often OnCancel's function was called
	answered  bool
	failed    bool
}

const upcallLimit = 2

func (o *orderedUpcalls) errorf(format string, args ...any) {
	o.t.Helper()
	o.t.Errorf("%+v: %s", o.upcallsWay, fmt.Sprintf(format, args...))
}

// callback is called by every callback: it takes a step that was left for one. A panic may end the connection.
func (o *orderedUpcalls) callback() { o.armedStep(&o.mayFail) }

func (o *orderedUpcalls) armedStep(panics *bool) {
	if o.armed == "" {
		return
	}
	step := o.armed[0]
	o.armed = o.armed[1:]
	if step == panicStep {
		*panics = true
		panic(errOrdered)
	}
	o.step(step)
}

// mayEnd reports whether the connection may have failed.
func (o *orderedUpcalls) mayEnd() bool { return o.cut || o.mayFail }

// call is a call of the child.
func (o *orderedUpcalls) call(after time.Duration) {
	u := &orderedUpcall{o: o, name: fmt.Sprint("upcall ", len(o.calls))}
	var options rpc.CallOptions
	if after > 0 {
		u.due = o.clock.Monotonic() + after
		u.stale = o.clock.Wall().Sub(o.loop.Now())
		options.Deadline = o.clock.Wall().Add(after)
	}
	id, err := o.server.GoParentWith(u, options, []byte(u.name))
	_, isLost := errors.AsType[*rpc.LostError](err)
	switch {
	case err == nil:
		u.id = id
		o.calls = append(o.calls, u)
	case err == rpc.ErrFull:
		o.starved = true
	case errors.Is(err, rpc.ErrShutdown) && (o.closing || o.mayEnd()), isLost && o.mayEnd(), errors.Is(err, rpc.ErrNoCalls) && o.served:
	default:
		o.errorf("GoParentWith returns %v", err)
	}
}

// Complete implements rpc.Completion.
func (u *orderedUpcall) Complete(reply rpc.Payload, err error) {
	u.ends++
	u.err = err
	_, isLost := errors.AsType[*rpc.LostError](err)
	remote, isRemote := errors.AsType[*rpc.RemoteError](err)
	ok := false
	switch {
	case err == nil:
		ok = u.answered && !u.failed && strings.HasSuffix(string(reply), u.name)
	case isRemote:
		ok = u.failed && remote.Message == u.name
	case isLost:
		ok = (u.o.closing || u.o.mayEnd()) && !u.cancelled
	case err == rpc.ErrCanceled:
		ok = u.cancelled
	case err == rpc.ErrDeadline:
		ok = u.due > 0 && u.o.clock.Monotonic() >= u.due
	}
	if !ok || u.ends > 1 || u.cancelled && err != rpc.ErrCanceled {
		u.o.errorf("end %d of %s is %q, %v", u.ends, u.name, reply, err)
	}
	u.o.callback()
}

// cancel cancels the first call of the child that is open, or the last there is.
func (o *orderedUpcalls) cancel(last bool) {
	for i, u := range o.calls {
		open := u.ends == 0 && !u.cancelled
		if last && i < len(o.calls)-1 || !last && !open {
			continue
		}
		did := o.server.CancelParent(u.id)
		// Calls that end together are told of one after the other.
		if did && !open || !did && open && !o.closing && !o.mayEnd() {
			o.errorf("CancelParent of %s says %t", u.name, did)
		}
		u.cancelled = u.cancelled || did
		return
	}
}

// onCall has the parent take a call of the child.
func (o *orderedUpcalls) onCall(payload rpc.Payload, done rpc.Done) {
	open := 0
	for _, u := range o.calls {
		if u.done != nil && !u.answered {
			open++
		}
		if u.name == string(payload) {
			if u.done != nil {
				o.errorf("%s comes twice", u.name)
			}
			u.done = &done
			done.OnCancel(func(err error) { u.nobodyWaits(err) })
		}
	}
	if open >= upcallLimit {
		o.errorf("%q comes while %d are open", payload, open)
	}
	o.callback()
}

func (u *orderedUpcall) nobodyWaits(err error) {
	_, isLost := errors.AsType[*rpc.LostError](err)
	gone := u.err == rpc.ErrDeadline || u.cancelled
	if u.told++; u.told > 1 || u.answered || !(err == rpc.ErrCanceled && gone || isLost && u.o.over == 0 && (u.o.closing || u.o.mayEnd())) {
		u.o.errorf("%s is told %d times that nobody waits: %v", u.name, u.told, err)
	}
	u.o.callback()
}

// answer has the parent answer the first of the child's calls, or the last, or with an error.
func (o *orderedUpcalls) answer(how byte) {
	var call *orderedUpcall
	for _, u := range o.calls {
		if u.done != nil && !u.answered && (call == nil || how == 'A') {
			call = u
		}
	}
	if call == nil {
		return
	}
	call.answered, call.failed = true, how == 'e'
	var err error
	if call.failed {
		err = call.done.Fail(errors.New(call.name))
	} else {
		err = call.done.ReplyBytes([]byte(strings.Repeat(".", 200) + call.name))
	}
	if call.done.Reply() != rpc.ErrDone {
		o.errorf("%s is answered twice", call.name)
	}
	_, isLost := errors.AsType[*rpc.LostError](err)
	if err != nil && !(err == rpc.ErrShutdown && o.closing || isLost && (o.closing || o.mayEnd())) {
		o.errorf("the answer to %s: %v", call.name, err)
	}
}

// handle has the child take the parent's call.
func (o *orderedUpcalls) handle(_ rpc.Payload, done rpc.Done) {
	o.ours = &done
	o.armedStep(&o.panicked)
}

// reply has the child answer the parent's call.
func (o *orderedUpcalls) reply() {
	d := o.ours
	if d == nil {
		return
	}
	o.ours, o.replied = nil, true
	if err := d.Reply(); err != nil && !o.mayEnd() && !(err == rpc.ErrDone && o.panicked) {
		o.errorf("the reply: %v", err)
	}
}

// Complete is the end of the parent's call.
func (o *orderedUpcalls) Complete(_ rpc.Payload, err error) {
	o.ourEnds, o.ourErr = o.ourEnds+1, err
	_, isLost := errors.AsType[*rpc.LostError](err)
	_, isRemote := errors.AsType[*rpc.RemoteError](err)
	switch {
	case err == nil && o.replied, isRemote && o.panicked, err == rpc.ErrCanceled && o.forgotten, isLost && o.mayEnd():
	default:
		o.errorf("the parent's call ends with %v", err)
	}
	o.callback()
}

// run takes the steps and ends what they have left.
func (o *orderedUpcalls) run() {
	o.start()
	o.after(o.wait, func() { o.take(o.steps) })
	err := o.server.ServeAsync(o.loop, o.handle)
	if o.served = true; err != nil && !o.mayEnd() {
		o.errorf("the server ends with %v", err)
	}
	for i := 0; i < 200 && !(o.concluded && o.over > 0); i++ {
		must(o.t, o.loop.Poll(0))
	}
	for range settled {
		must(o.t, o.loop.Poll(0))
	}
	o.checkOver()
}

func (o *orderedUpcalls) start() {
	ours, theirs := socketpair(o.t)
	o.link = rpc.NewStreamTransport(o.loop, ours, ours)
	config := rpc.Config{OnCall: o.onCall, MaxUpcalls: upcallLimit,
		OnDestroy: func() { o.over++ },
		OnError: func(err error) {
			if o.over++; !o.mayEnd() {
				o.errorf("the client ends with %v", err)
			}
		}}
	if o.tight {
		config.MaxBuffered = 300
	}
	var err error
	o.client, err = rpc.NewClient(o.link, config)
	must(o.t, err)
	o.server, err = rpc.NewServer(sameFD(theirs), rpc.ServerConfig{OnDrain: func() { o.drains++; o.callback() }})
	must(o.t, err)
	o.call1, err = o.client.GoWith(o, rpc.CallOptions{}, nil)
	must(o.t, err)
}

// take takes the next steps, and then ends what they have left.
func (o *orderedUpcalls) take(steps string) {
	switch {
	case steps == "":
		o.after(settled, o.conclude)
	case steps[0] == inCallback:
		o.armed += steps[1:2]
		o.take(steps[2:])
	default:
		o.after(o.gap, func() {
			survive(func() { o.step(steps[0]) })
			o.take(steps[1:])
		})
	}
}

// after calls fn so many iterations later.
func (o *orderedUpcalls) after(iterations int, fn func()) {
	o.loop.AfterFunc(0, func() {
		if iterations == 0 {
			fn()
			return
		}
		o.after(iterations-1, fn)
	})
}

// conclude has everything answered, sees whether as many calls can be made as the parent takes, and shuts the client down.
func (o *orderedUpcalls) conclude() {
	o.armed = ""
	if o.late { // what is due next is so then
		o.clock.Advance(time.Second)
	}
	o.after(settled, func() {
		o.checkSettled()
		for range o.calls {
			o.answer('a')
		}
		o.after(settled, o.goOn)
	})
}

func (o *orderedUpcalls) goOn() {
	o.checkAnswered()
	for range upcallLimit {
		n := len(o.calls)
		if o.closing || o.mayEnd() {
			break
		}
		if o.call(0); len(o.calls) == n {
			o.errorf("there is no room for another call")
		}
	}
	o.after(settled, func() {
		for range o.calls {
			o.answer('a')
		}
		o.reply()
		o.after(settled, func() {
			o.checkAnswered()
			o.closing, o.concluded = true, true
			o.client.Shutdown()
		})
	})
}

// checkSettled checks what must have happened while nothing is underway.
func (o *orderedUpcalls) checkSettled() {
	for _, u := range o.calls {
		late := u.due > 0 && o.clock.Monotonic() >= u.due+u.stale
		if (u.cancelled || u.answered || late || o.cut || o.over > 0) && u.ends != 1 {
			o.errorf("%s has ended %d times", u.name, u.ends)
		}
		if u.done != nil && !u.answered && u.told == 0 && (u.cancelled || late) && !o.closing && !o.mayEnd() {
			o.errorf("the parent is not told that nobody waits for %s", u.name)
		}
		if u.done == nil && !o.closing && !o.mayEnd() {
			o.errorf("%s does not reach the parent", u.name)
		}
	}
}

// checkAnswered checks that all calls of the child have ended, and that it was told of room.
func (o *orderedUpcalls) checkAnswered() {
	for _, u := range o.calls {
		if u.ends != 1 && (u.answered || o.closing && o.ourEnds > 0 && o.ourErr == nil) {
			o.errorf("%s has ended %d times", u.name, u.ends)
		}
	}
	if o.starved && o.drains == 0 && !o.served {
		o.errorf("the child is not told of room")
	}
}

// checkOver checks what is left when both sides have ended.
func (o *orderedUpcalls) checkOver() {
	if o.over != 1 || o.ourEnds != 1 {
		o.errorf("the client has ended %d times, its call %d times", o.over, o.ourEnds)
	}
	for _, u := range o.calls {
		if u.ends != 1 {
			o.errorf("%s has ended %d times", u.name, u.ends)
		}
	}
	o.answer('a') // too late
	s := o.loop.Stats()
	n := rpc.OpenUpcalls(o.server) + o.client.InFlight()
	if !o.mayEnd() {
		n += rpc.OwedAnswers(o.client)
	}
	if n > 0 || s.Timing+s.Streams+s.Refs > 0 {
		o.errorf("%d calls are left, %d timers, %d streams, %d references", n, s.Timing, s.Streams, s.Refs)
	}
	if err := o.loop.Verify(); err != nil {
		o.errorf("%v", err)
	}
}

// Every order of three steps, each in six of twelve ways.
func TestEveryOrderOfUpcalls(t *testing.T) {
	leaktest.Check(t)
	length := 3
	if testing.Short() || raceDetector {
		length = 2
	}
	loop, clock := newOrderedLoop(t)
	defer closeLoop(loop)
	orders := 0
	eachOrder(upcallSteps, length, func(steps string) {
		if !isSensible(steps) {
			return
		}
		orders++
		for i := range 6 {
			way := upcallsWay{steps: steps, wait: []int{0, settled}[i/3], gap: []int{0, 1, settled}[i%3], tight: (orders+i)%2 > 0}
			(&orderedUpcalls{t: t, loop: loop, clock: clock, upcallsWay: way}).run()
		}
	})
}

// tortureUpcalls takes many random orders.
func tortureUpcalls(t *testing.T, random *rand.Rand) {
	loop, clock := newOrderedLoop(t)
	defer closeLoop(loop)
	for range tortureOrders {
		way := upcallsWay{steps: randomOrder(random, "uu"+upcallSteps, longestOrder), wait: pick(random, 0, settled), gap: pick(random, 0, 1, settled), tight: pick(random, true, false)}
		(&orderedUpcalls{t: t, loop: loop, clock: clock, upcallsWay: way}).run()
	}
}
