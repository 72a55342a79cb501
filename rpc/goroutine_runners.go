package rpc

import "time"

// The calls of a goroutineServer are answered by runners: goroutines that take one call
// after the other from the backlog. Each call has its runner to itself, and none waits for
// another's handler to return, because one runner is always coming, that is, started or
// woken and not yet scheduled, while a call may be begun or replies are held back. As long
// as handlers are short, the runner before it has done everything until then: no goroutine is
// started, no stack grown, no thread woken and nothing written for each call.

// goroutineRunner is a runner.
type goroutineRunner struct {
	wake  chan struct{} // of capacity 1; nil until it has been idle
	calls int           // so far
}

// goroutineRunners are all of a server's. Its mu protects them.
type goroutineRunners struct {
	count  int // that exist, and goroutines of dropped
	coming bool
	idle   []*goroutineRunner // the last to become idle is the first to be woken: its stack is in the cache
	held   bool               // replies are held back
	pace   pace
}

const (
	// idleRunners is how many runners without a call are kept.
	idleRunners = 32

	// paceSample is how many calls share a measurement while they are cheap.
	paceSample = 8
)

// bring has a runner come if there is something to do.
func (g *goroutineServer) bring() {
	w := &g.runners
	if w.coming || !w.held && !g.mayBegin() {
		return
	}
	w.coming = true
	if last := len(w.idle) - 1; last >= 0 {
		runner := w.idle[last]
		w.idle = w.idle[:last]
		runner.wake <- struct{}{}
		return
	}
	w.count++
	go g.work()
}

// mayBegin reports whether a call that waits may begin.
func (g *goroutineServer) mayBegin() bool { return !g.ended && !g.backlog.empty() && g.room() }

// work is a runner's life.
func (g *goroutineServer) work() {
	runner := &goroutineRunner{}
	g.mu.Lock()
	g.runners.coming = false
	g.letGo() // who held replies back may have a long call now
	for {
		for g.mayBegin() {
			if g.writer.atLimit.Load() {
				g.waitForRoom()
			} else {
				g.handle(runner)
			}
		}
		g.letGo()
		if g.mayBegin() {
			continue // meanwhile
		}
		if g.ended || len(g.runners.idle) == idleRunners {
			g.runners.count--
			g.change.Broadcast()
			g.mu.Unlock()
			return
		}
		g.rest(runner)
		g.letGo()
	}
}

// waitForRoom keeps a runner from a call whose reply could not be queued.
func (g *goroutineServer) waitForRoom() {
	g.mu.Unlock()
	g.writer.waitForRoom()
	g.mu.Lock()
}

// rest waits until the runner is needed, or the server ends.
func (g *goroutineServer) rest(runner *goroutineRunner) {
	if runner.wake == nil {
		runner.wake = make(chan struct{}, 1)
	}
	g.runners.idle = append(g.runners.idle, runner)
	g.mu.Unlock()
	<-runner.wake
	g.mu.Lock()
	g.runners.coming = false
}

// letGo has replies written that are held back.
func (g *goroutineServer) letGo() {
	if !g.runners.held {
		return
	}
	g.runners.held = false
	g.mu.Unlock()
	err := g.writer.push()
	if err != nil {
		g.fail(err)
	}
	g.mu.Lock()
}

// handle answers the next call. Its reply may wait for those of the next ones while
// calls are cheap, as in the other servers, and others wait.
func (g *goroutineServer) handle(runner *goroutineRunner) {
	pace := &g.runners.pace
	c := g.backlog.pop()
	g.change.Broadcast() // the reader may have waited for room
	tell := g.updateHold(g.backlog.size)
	g.enter(c)
	g.bring()
	cheap := pace.batching()
	timed := !cheap || runner.calls%paceSample == 0
	runner.calls++
	g.mu.Unlock()
	if tell {
		g.tell()
	}
	var begun time.Time
	if timed {
		begun = time.Now()
	}
	reply, err := g.invoke(c)
	var took time.Duration
	if timed {
		took = time.Since(begun)
	}
	over := g.answered(c, reply, err, !cheap)
	g.mu.Lock()
	if timed {
		pace.take(took)
	}
	g.runners.held = g.runners.held || cheap
	g.leave(c, over)
}

// answered sends the answer to a call that was handled. It returns how many calls are over.
func (g *goroutineServer) answered(c *goroutineCall, reply Payload, err error, prompt bool) (over int) {
	c.noMoreParts()
	over, err = g.answerInTurn(c.id, reply, err, prompt)
	if err != nil {
		g.fail(err)
	}
	c.end()
	g.recycle(c)
	return over
}

// lose answers a call whose handler ends the goroutine of its runner, and does without that.
func (g *goroutineServer) lose(c *goroutineCall, why error) {
	over := g.answered(c, nil, why, true)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave(c, over)
	g.runners.count--
	g.change.Broadcast()
	g.bring()
}

// dismiss ends the runners: those who are idle, and others when they have answered.
func (g *goroutineServer) dismiss() {
	for _, runner := range g.runners.idle {
		runner.wake <- struct{}{}
	}
	g.runners.idle = nil
}
