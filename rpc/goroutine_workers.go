package rpc

import "time"

// The calls of a goroutineServer are answered by workers: goroutines that take one call after
// the other from the backlog. Each call has a goroutine to itself while it runs, and
// none waits for another's to return. That is so because while calls may be begun, or
// replies are held back, one worker is always coming: started or woken, and not yet
// scheduled. As long as handlers are short the one before it has done all there is
// until then, without a goroutine started, a stack grown or a thread woken for each call.

// goroutineWorker is a worker.
type goroutineWorker struct {
	wake  chan struct{} // of capacity 1
	calls int           // so far
}

// goroutineWorkers are those of a server, whose mu protects them.
type goroutineWorkers struct {
	count  int // that exist
	coming bool
	idle   []*goroutineWorker // the last to become idle is the first to be woken: its stack is in the cache
	held   bool               // replies are held back
	pace   pace
}

const (
	// idleWorkers is how many workers without a call are kept.
	idleWorkers = 32

	// paceSample is how many calls share a measurement while they are cheap.
	paceSample = 8
)

// bring has a worker come if there is something to do.
func (g *goroutineServer) bring() {
	w := &g.workers
	if w.coming || !w.held && !g.mayBegin() {
		return
	}
	w.coming = true
	if last := len(w.idle) - 1; last >= 0 {
		worker := w.idle[last]
		w.idle = w.idle[:last]
		worker.wake <- struct{}{}
		return
	}
	w.count++
	go g.work(&goroutineWorker{wake: make(chan struct{}, 1)})
}

// mayBegin reports whether a call that waits may begin.
func (g *goroutineServer) mayBegin() bool { return !g.ended && !g.backlog.empty() && g.room() }

// work is a worker's life.
func (g *goroutineServer) work(worker *goroutineWorker) {
	g.mu.Lock()
	g.workers.coming = false
	g.letGo() // who held replies back may have a long call now
	for {
		for g.mayBegin() {
			g.handle(worker)
		}
		g.letGo()
		if g.mayBegin() {
			continue // meanwhile
		}
		if g.ended || len(g.workers.idle) == idleWorkers {
			g.workers.count--
			g.change.Broadcast()
			g.mu.Unlock()
			return
		}
		g.rest(worker)
		g.letGo()
	}
}

// rest waits until the worker is needed, or the server ends.
func (g *goroutineServer) rest(worker *goroutineWorker) {
	g.workers.idle = append(g.workers.idle, worker)
	g.mu.Unlock()
	<-worker.wake
	g.mu.Lock()
	g.workers.coming = false
}

// letGo has replies written that are held back.
func (g *goroutineServer) letGo() {
	if !g.workers.held {
		return
	}
	g.workers.held = false
	g.mu.Unlock()
	err := g.writer.push()
	if err != nil {
		g.cancel(err)
	}
	g.mu.Lock()
}

// handle answers the next call. Its reply may wait for those of the next ones while
// calls are cheap, as in the other servers, and others wait.
func (g *goroutineServer) handle(worker *goroutineWorker) {
	pace := &g.workers.pace
	c := g.backlog.pop()
	g.enter(c)
	g.bring()
	cheap := pace.batching()
	timed := !cheap || worker.calls%paceSample == 0
	worker.calls++
	g.mu.Unlock()
	var begun time.Time
	if timed {
		begun = time.Now()
	}
	reply, err := g.invoke(c)
	var took time.Duration
	if timed {
		took = time.Since(begun)
	}
	c.noMoreParts()
	over, err := g.answerInTurn(c.id, reply, err, !cheap)
	if err != nil {
		g.cancel(err)
	}
	c.end()
	g.recycle(c)
	g.mu.Lock()
	if timed {
		pace.take(took)
	}
	g.workers.held = g.workers.held || cheap
	g.leave(c, over)
}

// dismiss ends the workers: those who are idle, and others when they have answered.
func (g *goroutineServer) dismiss() {
	for _, worker := range g.workers.idle {
		worker.wake <- struct{}{}
	}
	g.workers.idle = nil
}
