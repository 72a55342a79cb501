package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

// A fan-out in every order of so many steps of its sequence, its workers, who ranges over its results, the clock and its ctx. The
// workers are scripted, and all goroutines are in a bubble: each step is taken when they have done all that they can.

// fanSteps are those of which every order is tried; the first two workers have some each.
const fanSteps = "jJpqtkXT" + "areDSH" + "bfUI"

// workerSteps has the first worker's, and the second's in the same order.
const workerSteps = "arehDSH" + "bsfiEUI"

func (o *orderedFan) step(step byte) {
	switch step {
	case 'j', 'J', 'p', 'q':
		o.offer(step)
	case 't':
		o.goOn(true)
	case 'k':
		o.goOn(false)
	case 'X':
		o.gone = true
		o.cancel()
	case 'T':
		o.late = true
		o.clock.Advance(time.Second)
	default:
		const each = len(workerSteps) / 2
		i := strings.IndexByte(workerSteps, step)
		o.workerStep(i/each, workerSteps[i%each])
	}
}

func (o *orderedFan) workerStep(i int, step byte) {
	if i >= o.workers {
		return
	}
	c := o.children[i]
	switch step {
	case 'a':
		c.answer(false, false)
	case 'r':
		c.readAll()
	case 'e':
		if c.answer(true, true) != nil {
			o.failedOnce = true
		}
	case 'h':
		c.hello()
	case 'D':
		o.failedOnce = true
		c.die()
	case 'S':
		o.clients[i].Shutdown()
	case 'H':
		if c.greeted {
			o.held[i] = true
			c.say(frame(holdKind|1, ""))
		}
	}
}

var ordered = rpc.NewMethod[string, string]("ordered", jsoncodec.Codec{})

// fanWay is what differs between the runs of one order.
type fanWay struct {
	steps   string
	gap     int // iterations between two steps
	workers int
	window  int
	timeout bool
	stop    bool // StopOnError
	stuffed bool // nothing goes through the workers' pipes before they read
	greeted bool // the workers have said hello before
	runLoop bool
	finale  byte // what happens after the last: 'A', all is answered; 'D', the workers die; 'L', the loop is closed
}

// orderedFan is one order, and what has come of it.
type orderedFan struct {
	t *testing.T
	fanWay
	clock *reactortest.Clock
	loop  *reactor.Loop
	fan   *rpc.FanOut[string, string]

	clients  []*rpc.Client
	children []*scriptedChild
	over     []int  // how often each client has ended
	held     []bool // whether each worker has asked for no more calls

	feed     chan byte // what the sequence does next
	offered  []string  // by the sequence
	surely   int       // so many of them while nothing spoke against it
	seqEnded bool      // the sequence has, however
	permit   chan bool // whether to go on ranging; without runLoop
	leave    bool      // break at the next result; with runLoop
	came     chan rpc.Result[string, string]
	results  []rpc.Result[string, string]
	taken    int  // of them were looked at
	ended    bool // Results has
	panicked any  // with what
	cancel   context.CancelFunc

	gone       bool // the ctx has ended
	left       bool // Results was left
	closed     bool // the loop was
	late       bool // the clock has advanced
	failedOnce bool // a worker has failed a job, or died
	panics     bool // the sequence does
}

func (o *orderedFan) errorf(format string, args ...any) {
	o.t.Helper()
	o.t.Errorf("%+v: %s", o.fanWay, fmt.Sprintf(format, args...))
}

// offer has the sequence go on, if it waits for that.
func (o *orderedFan) offer(step byte) {
	select {
	case o.feed <- step:
	default:
	}
}

// goOn has the goroutine that ranges over the results go on, or leave.
func (o *orderedFan) goOn(on bool) {
	if o.runLoop {
		o.leave = o.leave || !on
		return
	}
	select {
	case o.permit <- on:
		if on {
			o.taken++
		}
		o.left = o.left || !on
	default:
	}
}

// sequence yields jobs when it is told to.
func (o *orderedFan) sequence(yield func(string) bool) {
	defer func() { o.seqEnded = true }()
	for step := range o.feed {
		switch step {
		case 'J':
			return
		case 'q':
			runtime.Goexit()
		case 'p':
			if o.ended {
				return // nobody would hear of it, and the process ends
			}
			o.panics = true
			panic(errOrdered)
		}
		job := fmt.Sprintf("job %d.", len(o.offered))
		o.offered = append(o.offered, job)
		if !o.mayStop() {
			o.surely = len(o.offered)
		}
		if !yield(job) {
			return
		}
	}
}

// mayStop reports whether anything has happened after which no more jobs need be taken.
func (o *orderedFan) mayStop() bool {
	return o.gone || o.left || o.closed || o.leave || o.stop && (o.failedOnce || o.late) || o.alive() == 0
}

// alive is how many workers may be given jobs.
func (o *orderedFan) alive() (n int) {
	for i, c := range o.children {
		if c.alive() && o.over[i] == 0 && !rpc.Closing(o.clients[i]) {
			n++
		}
	}
	return n
}

// rangeResults is what the program does with the results.
func (o *orderedFan) rangeResults() {
	defer func() { o.ended, o.panicked = true, recover() }()
	for r := range o.fan.Results() {
		if !o.runLoop {
			o.came <- r
			if !<-o.permit {
				break
			}
			continue
		}
		o.result(r)
		if o.leave {
			o.left = true
			break
		}
		o.taken++
	}
}

// look waits until all goroutines have done what they can, and takes the result that has come, if one has: the loop stands still then.
func (o *orderedFan) look() {
	synctest.Wait()
	select {
	case r := <-o.came:
		o.result(r)
	default:
	}
}

func (o *orderedFan) result(r rpc.Result[string, string]) {
	o.results = append(o.results, r)
	o.checkResult(r)
}

// checkResult checks that a job may have ended so by what has happened before.
func (o *orderedFan) checkResult(r rpc.Result[string, string]) {
	answered, read := -1, 0
	for i, c := range o.children {
		if call := c.find(r.Req); call != nil {
			read++
			if call.answered {
				answered = i
			}
		}
	}
	lost, isLost := errors.AsType[*rpc.LostError](r.Err)
	_, isRemote := errors.AsType[*rpc.RemoteError](r.Err)
	ok := false
	switch {
	case r.Err == nil:
		ok = answered >= 0 && r.Resp == answerPrefix+r.Req && r.Client == o.clients[answered]
	case isRemote:
		ok = answered >= 0 && r.Client == o.clients[answered]
	case errors.Is(r.Err, rpc.ErrNoWorkers):
		ok = (o.alive() == 0 || o.closed) && (read == 0 || o.timeout) && r.Client == nil
	case isLost:
		ok = lost.Started && r.Client != nil
	case r.Err == context.Canceled:
		ok = o.gone && r.Client == nil
	case r.Err == rpc.ErrDeadline:
		ok = o.timeout && o.late && r.Client != nil
	case r.Err == rpc.ErrClosed:
		ok = o.closed
	}
	n := o.count(r.Req)
	if !ok || n != 1 || read > 1 || !slices.Contains(o.offered, r.Req) {
		o.errorf("result %d of %s is %q, %v; %d workers have read it", n, r.Req, r.Resp, r.Err, read)
	}
}

// count is how many results a job has.
func (o *orderedFan) count(job string) (n int) {
	for _, r := range o.results {
		if r.Req == job {
			n++
		}
	}
	return n
}

// run takes the steps and ends what they have left.
func (o *orderedFan) run() {
	o.start()
	steps := o.steps
	if o.runLoop {
		o.drive(steps)
		o.rangeResults()
		o.settle()
	} else {
		go o.rangeResults()
		o.look()
		for i := range steps {
			o.step(steps[i])
			o.poll(o.gap)
			o.checkBounds()
		}
		o.settle()
		o.checkSettled()
		o.conclude()
	}
	o.checkOver()
}

// drive has the steps taken by the loop that Results runs.
func (o *orderedFan) drive(steps string) {
	take := func(fn func()) { o.loop.AfterFunc(0, func() { fn(); synctest.Wait() }) }
	var next func(gap int)
	rounds := 0
	next = func(gap int) {
		switch {
		case o.ended:
		case gap > 0:
			take(func() { next(gap - 1) })
		case steps != "":
			take(func() {
				synctest.Wait()
				o.step(steps[0])
				steps = steps[1:]
				next(o.gap)
			})
		case rounds < 40:
			rounds++
			take(func() {
				o.finishOnce()
				next(2)
			})
		default:
			o.errorf("Results does not end")
			o.loop.Stop()
		}
	}
	next(0)
}

func (o *orderedFan) start() {
	o.loop, o.clock = newOrderedLoop(o.t)
	o.over, o.held = make([]int, o.workers), make([]bool, o.workers)
	for i := range o.workers {
		o.startWorker(i)
	}
	o.poll(2)
	config := rpc.FanOutConfig{Window: o.window, StopOnError: o.stop, RunLoop: o.runLoop}
	if o.timeout {
		config.Timeout = time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	o.feed, o.permit, o.came = make(chan byte), make(chan bool), make(chan rpc.Result[string, string])
	o.fan = ordered.FanOut(ctx, o.clients, o.sequence, config)
}

func (o *orderedFan) startWorker(i int) {
	child, r, w := newScriptedChild(o.t, o.stuffed)
	child.illegal, child.features = o.errorf, "cancel metadata"
	child.reply = func(request string) string {
		from := strings.Index(request, "job ")
		to := from + strings.Index(request[from:], ".") + 1
		return string(rpc.Strings(`"` + answerPrefix + request[from:to] + `"`))
	}
	end := func() { o.over[i]++ }
	c, err := rpc.NewClient(rpc.NewStreamTransport(o.loop, r, w), rpc.Config{OnDestroy: end, OnError: func(error) { end() }})
	must(o.t, err)
	o.clients, o.children = append(o.clients, c), append(o.children, child)
	if o.greeted {
		child.hello()
	}
}

// poll lets the loop go round, and the goroutines do what they can.
func (o *orderedFan) poll(times int) {
	o.look()
	for range times {
		if err := o.loop.Poll(0); err != nil && !o.closed {
			o.errorf("Poll: %v", err)
		}
		o.look()
	}
}

func (o *orderedFan) settle() { o.poll(callSettled) }

// checkBounds checks how much there is at most.
func (o *orderedFan) checkBounds() {
	// Results has as many again in hand, and one more may have been offered, and dropped.
	if n := len(o.offered) - o.taken; n > 2*o.window*o.workers+1 {
		o.errorf("%d jobs are open", n)
	}
	for i, c := range o.children {
		n := 0
		for _, call := range c.calls {
			if !call.answered && !call.cancelled {
				n++
			}
		}
		if n > o.window {
			o.errorf("worker %d has %d jobs", i, n)
		}
	}
}

// checkSettled checks what must have happened while nothing is underway.
func (o *orderedFan) checkSettled() {
	o.checkBounds()
	if !o.left && !o.gone {
		o.checkGiven()
	}
	if (o.gone || o.left) && o.finale != 'L' {
		o.checkCancels()
	}
}

// checkGiven checks that no job waits while a worker has room.
func (o *orderedFan) checkGiven() {
	room := false
	for i, c := range o.children {
		c.readAll()
		o.settle()
		c.readAll()
		open := 0
		for _, call := range c.calls {
			if !call.answered {
				open++
			}
		}
		room = room || c.alive() && c.greeted && !c.ended && o.over[i] == 0 && open < o.window && !o.held[i]
	}
	for i, job := range o.offered {
		found := slices.ContainsFunc(o.results, func(r rpc.Result[string, string]) bool { return r.Req == job })
		for _, c := range o.children {
			found = found || c.find(job) != nil
		}
		if !found && room && i < o.surely && len(o.results) <= o.taken {
			o.errorf("%s waits, and there is room for it", job)
		}
	}
}

// checkCancels checks that the workers know that nobody waits.
func (o *orderedFan) checkCancels() {
	if o.gone && !o.left {
		for range 20 { // results that wait
			o.goOn(true)
			o.settle()
		}
		if !o.ended {
			o.errorf("Results does not end with its ctx")
		}
	}
	o.settle()
	for i, c := range o.children {
		c.hello()
		o.settle()
		c.readAll()
		for _, call := range c.calls {
			if !call.answered && !call.cancelled && c.alive() && !c.ended && o.over[i] == 0 && !o.late {
				o.errorf("worker %d is not told that nobody waits for %q", i, call.payload)
			}
		}
	}
}

// conclude ends what is left, in one of several ways.
func (o *orderedFan) conclude() {
	switch o.finale {
	case 'L':
		o.closed = true
		if err := o.loop.Close(); err != nil {
			o.errorf("Close: %v", err)
		}
		o.look()
	case 'D':
		for _, c := range o.children {
			c.die()
		}
		o.settle()
	}
	for range 40 {
		if o.ended {
			break
		}
		o.finishOnce()
		o.settle()
	}
	if !o.ended {
		o.errorf("Results does not end")
	}
}

// finishOnce does what there is to do next for the end.
func (o *orderedFan) finishOnce() {
	for _, c := range o.children {
		if c.alive() {
			c.hello()
			c.say(frame(holdKind, ""))
			for c.answer(false, false) != nil {
			}
		}
	}
	o.goOn(true)
	o.offer('J')
}

// checkOver checks what is left in the end.
func (o *orderedFan) checkOver() {
	if o.panicked != nil && !o.panics {
		o.errorf("Results panics with %v", o.panicked)
	}
	o.checkErr()
	for i, job := range o.offered {
		n := o.count(job)
		if n > 1 || n == 0 && i < o.surely && !o.left {
			o.errorf("%s has %d results", job, n)
		}
	}
	close(o.feed) // a sequence that was left waits for its next job
	synctest.Wait()
	if !o.seqEnded && len(o.offered) > 0 {
		o.errorf("the sequence has not ended")
	}
	o.cancel()
	o.endClients()
	if err := errors.Join(o.loop.Verify(), o.loop.Close()); err != nil {
		o.errorf("%v", err)
	}
}

// checkErr checks why not all jobs were done.
func (o *orderedFan) checkErr() {
	err := o.fan.Err()
	ok := false
	switch {
	case err == nil:
		ok = true
		for _, r := range o.results {
			ok = ok && r.Err != context.Canceled && !errors.Is(r.Err, rpc.ErrNoWorkers)
		}
	case err == context.Canceled:
		ok = o.gone
	case errors.Is(err, rpc.ErrNoWorkers):
		ok = o.alive() == 0 && !errors.Is(err, rpc.ErrClosed)
	case err == rpc.ErrClosed:
		ok = o.closed
	case errors.Is(err, rpc.ErrFanOut):
		ok = strings.Contains(o.steps, "q")
	default:
		ok = o.stop && slices.ContainsFunc(o.results, func(r rpc.Result[string, string]) bool { return r.Err == err })
	}
	if !ok {
		o.errorf("Err is %v", err)
	}
}

// endClients checks that nothing is left of the calls, and ends the workers.
func (o *orderedFan) endClients() {
	for i, c := range o.children {
		if !o.closed {
			c.hello()
			c.say(frame(holdKind, ""))
			o.settle()
			for c.answer(false, false) != nil {
			}
			o.settle()
			if n := o.clients[i].InFlight(); n > 0 && o.over[i] == 0 {
				o.errorf("worker %d has %d calls in flight", i, n)
			}
			o.clients[i].Shutdown()
			o.settle()
		}
		c.die()
		o.settle()
		if o.over[i] != 1 {
			o.errorf("client %d has ended %d times", i, o.over[i])
		}
	}
	if s := o.loop.Stats(); !o.closed && s.Timing+s.Streams+s.Refs > 0 {
		o.errorf("%d timers, %d streams and %d references are left", s.Timing, s.Streams, s.Refs)
	}
}

// fanWays is how many ways there are to take an order.
const fanWays = 12

func (o *orderedFan) way(i int) {
	o.gap, o.workers, o.window, o.finale = []int{0, callSettled}[i%2], 1+i%3, 1+i/2%3, "ADL"[i/4]
	o.timeout, o.stop, o.stuffed, o.greeted = i%5 == 0, i%4 == 1, i%6 > 3, i%3 > 0
	if o.runLoop = i%4 == 3; o.runLoop {
		o.finale = 'A'
	}
}

// Every order of two steps behind two jobs, in twelve ways, and every order of three in one of them.
func TestEveryOrderOfAFanOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(steps string, way int) {
			o := &orderedFan{t: t, fanWay: fanWay{steps: "jj" + steps}}
			o.way(way % fanWays)
			o.run()
		}
		eachOrder(fanSteps, 2, func(steps string) {
			for way := range fanWays {
				run(steps, way)
			}
		})
		if testing.Short() || raceDetector {
			return
		}
		orders := 0
		eachOrder(fanSteps, 3, func(steps string) {
			run(steps, orders)
			orders++
		})
	})
}

// tortureFanOuts takes many random orders.
func tortureFanOuts(t *testing.T, random *rand.Rand) {
	flip := func() bool { return pick(random, true, false) }
	for range tortureOrders {
		way := fanWay{steps: randomOrder(random, "jjjtJpqtkXT"+workerSteps, longestOrder), gap: pick(random, 0, 1, callSettled), workers: 1 + random.IntN(3), window: 1 + random.IntN(3),
			timeout: flip(), stop: flip(), stuffed: flip(), greeted: flip(), runLoop: flip(), finale: pick[byte](random, 'A', 'D', 'L')}
		if way.runLoop {
			way.finale = 'A'
		}
		(&orderedFan{t: t, fanWay: way}).run()
	}
}
