package rpc_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// What the two sides of a streamed call can do, in every order of so many steps, over a window that one part uses up. Both live on
// one loop, so that an order is the same every time; wait is how many iterations come before the first step, and gap how many lie
// between two.

// orderedStep is what one side does.
type orderedStep func(o *orderedCall)

var orderedSteps = map[byte]orderedStep{
	'P': (*orderedCall).sendPart,
	'E': (*orderedCall).closeSend,
	'C': (*orderedCall).cancel,
	'Z': (*orderedCall).pause,
	'S': func(o *orderedCall) { o.client.Shutdown() },
	'p': (*orderedCall).replyPart,
	'z': (*orderedCall).pauseParts,
	'r': (*orderedCall).reply,
}

func TestEveryOrderOfAStreamedCall(t *testing.T) {
	length := 4
	if testing.Short() || raceDetector {
		length = 3
	}
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	defer closeLoop(loop)
	eachOrder("PECZSpzr", length, func(steps string) {
		for _, wait := range []int{0, settled} {
			for _, gap := range []int{0, 1, settled} {
				(&orderedCall{t: t, loop: loop, steps: steps, wait: wait, gap: gap}).run()
			}
		}
	})
}

// orderedCall is one order, and the call on both sides.
type orderedCall struct {
	t     *testing.T
	loop  *reactor.Loop
	steps string
	wait  int
	gap   int

	client    *rpc.Client
	stream    *rpc.LoopStream
	sent      []string // parts of the request
	came      []string // of the reply
	closed    bool
	cancelled bool
	paused    bool
	ends      int
	err       error
	destroyed int

	server      *rpc.Server
	done        *rpc.Done // nil until the handler is called
	got         []string
	back        []string
	gotEnd      bool
	cancels     int
	answered    bool
	pausedParts bool
}

func (o *orderedCall) errorf(format string, args ...any) {
	o.t.Helper()
	o.t.Errorf("%s, after %d iterations and with %d in between: %s", o.steps, o.wait, o.gap, fmt.Sprintf(format, args...))
}

// Complete, Part and handle are what the two sides are told.
func (o *orderedCall) Complete(_ rpc.Payload, err error) { o.ends, o.err = o.ends+1, err }

func (o *orderedCall) Part(part rpc.Payload) {
	if o.ends > 0 || o.cancelled {
		o.errorf("a part comes behind the end")
	}
	o.came = append(o.came, string(part))
}

func (o *orderedCall) handle(_ rpc.Payload, done rpc.Done) {
	o.done = &done
	done.OnParts(func(part rpc.Payload) { o.got = append(o.got, string(part)) }, func() {
		if o.gotEnd || o.answered || !o.closed || len(o.got) != len(o.sent) {
			o.errorf("the end of the parts comes behind %d of %d", len(o.got), len(o.sent))
		}
		o.gotEnd = true
	})
	done.OnCancel(func(error) {
		if o.cancels++; o.cancels > 1 || o.answered || !o.cancelled {
			o.errorf("the handler is told of cancel %d", o.cancels)
		}
	})
}

func (o *orderedCall) sendPart() {
	if part := fmt.Sprint("to the child ", len(o.sent)); o.stream.Send([]byte(part)) == nil {
		o.sent = append(o.sent, part)
	}
}

func (o *orderedCall) closeSend() {
	o.closed = o.closed || o.ends == 0 && !o.cancelled
	o.stream.CloseSend()
}

func (o *orderedCall) cancel() { o.cancelled = o.stream.Cancel() || o.cancelled }

func (o *orderedCall) pause() {
	if o.paused = !o.paused; o.paused {
		o.stream.Pause()
	} else {
		o.stream.Resume()
	}
}

func (o *orderedCall) replyPart() {
	if part := fmt.Sprint("to the parent ", len(o.back)); o.done != nil && o.done.PartBytes([]byte(part)) == nil {
		o.back = append(o.back, part)
	}
}

func (o *orderedCall) pauseParts() {
	if o.done == nil || o.answered {
		return
	}
	if o.pausedParts = !o.pausedParts; o.pausedParts {
		o.done.PauseParts()
	} else {
		o.done.ResumeParts()
	}
}

func (o *orderedCall) reply() {
	if o.done != nil && !o.answered {
		o.answered = true
		must(o.t, o.done.Reply())
	}
}

// run makes the call, takes the steps and ends what they have left.
func (o *orderedCall) run() {
	o.t.Helper()
	ours, theirs := socketpair(o.t)
	var err error
	o.client, err = rpc.NewClient(rpc.NewStreamTransport(o.loop, ours, ours), rpc.Config{
		OnDestroy: func() { o.destroyed++ },
		OnError:   func(err error) { o.errorf("the client ends with %v", err) },
	})
	must(o.t, err)
	o.server, err = rpc.NewServer(sameFD(theirs), rpc.ServerConfig{Window: 1})
	must(o.t, err)
	o.stream, err = o.client.GoStream(o, rpc.StreamOptions{Window: 1, Input: true}, nil)
	must(o.t, err)
	o.after(o.wait, func() { o.take(o.steps) })
	if err := o.server.ServeAsync(o.loop, o.handle); err != nil {
		o.errorf("the server ends with %v", err)
	}
	o.until(func() bool { return o.destroyed > 0 })
	o.check()
}

// take takes the next steps, and then ends what they have left.
func (o *orderedCall) take(steps string) {
	if steps == "" {
		o.after(settled, o.conclude)
		return
	}
	o.after(o.gap, func() {
		orderedSteps[steps[0]](o)
		o.take(steps[1:])
	})
}

// after calls fn so many iterations later.
func (o *orderedCall) after(iterations int, fn func()) {
	o.loop.AfterFunc(0, func() {
		if iterations == 0 {
			fn()
			return
		}
		o.after(iterations-1, fn)
	})
}

func (o *orderedCall) until(cond func() bool) {
	for range 20 {
		if cond() {
			return
		}
		must(o.t, o.loop.Poll(0))
	}
	o.errorf("it does not end")
}

// conclude has nothing paused any more, ends the parts, answers, and shuts the client down.
func (o *orderedCall) conclude() {
	if o.paused {
		o.pause()
	}
	if o.pausedParts {
		o.pauseParts()
	}
	o.after(settled, func() {
		if o.ends == 0 && !o.answered {
			o.checkLive()
		}
		o.closeSend()
		o.after(settled, func() {
			if o.ends == 0 && !o.answered && !o.gotEnd {
				o.errorf("the end of the parts does not come")
			}
			o.reply()
			o.after(settled, o.client.Shutdown)
		})
	})
}

// checkLive checks a call that goes on while nothing is underway.
func (o *orderedCall) checkLive() {
	if !slices.Equal(o.got, o.sent) || !slices.Equal(o.came, o.back) {
		o.errorf("%q has become %q, and %q has become %q", o.sent, o.got, o.back, o.came)
	}
	if err := rpc.CompareCredits(o.stream, *o.done); err != nil {
		o.errorf("%v", err)
	}
}

// check checks what is left when both sides have ended.
func (o *orderedCall) check() {
	if o.ends != 1 || o.destroyed != 1 {
		o.errorf("the call ended %d times, its client %d times", o.ends, o.destroyed)
	}
	switch {
	case o.cancelled && o.err != rpc.ErrCanceled, !o.cancelled && o.err != nil:
		o.errorf("the call, cancelled: %t, ended with %v", o.cancelled, o.err)
	case o.err == nil && !slices.Equal(o.came, o.back):
		o.errorf("%q came, not %q", o.came, o.back)
	}
	if c, s := rpc.ClientStreams(o.client), rpc.ServerStreams(o.server); c+s+o.client.InFlight() > 0 {
		o.errorf("the client has %d streamed calls and %d in flight, the server has %d", c, o.client.InFlight(), s)
	}
}
