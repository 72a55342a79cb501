package rpc

// The end of a FanOut: what is open then has no result, or one that says so, and is
// cancelled.

// stop takes no more jobs, because of err.
func (f *FanOut[Req, Resp]) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopLocked(err)
}

func (f *FanOut[Req, Resp]) stopLocked(err error) {
	f.stopping = true
	if f.err == nil {
		f.err = err
	}
	signal(f.room)
}

// abandon gives all jobs that have no result err as theirs, and cancels their calls.
func (f *FanOut[Req, Resp]) abandon(err error) {
	f.mu.Lock()
	f.stopLocked(err)
	open := !f.over.Swap(true) && f.open > 0
	for _, j := range f.all {
		if j.open {
			j.open, j.stale, j.err = false, true, err
			f.results = append(f.results, j)
		}
	}
	f.mu.Unlock()
	if open {
		f.cancel()
	}
}

// leave is the end of Results, however it came.
func (f *FanOut[Req, Resp]) leave() {
	f.mu.Lock()
	f.stopping, f.left = true, true
	open := !f.over.Swap(true) && f.open > 0
	panicked := f.panicked
	f.mu.Unlock()
	signal(f.room)
	if open {
		f.cancel()
	}
	if panicked != nil {
		panic(panicked)
	}
}

// cancel cancels the calls in flight. The loop sees to it itself, unless it is run by
// Results: then it may be long until it runs again.
func (f *FanOut[Req, Resp]) cancel() {
	if !f.config.RunLoop {
		_ = f.loop.Post(f.cancelCalls) // if the loop has ended, so have the calls
		return
	}
	f.cancelCalls()
	for _, w := range f.team {
		w.client.stream.Flush()
	}
}

// cancelCalls is the loop's. over is true: no call is made any more.
func (f *FanOut[Req, Resp]) cancelCalls() {
	f.mu.Lock()
	jobs := f.all // of which there will be no more
	f.mu.Unlock()
	for _, j := range jobs {
		if j.call != (CallID{}) {
			j.worker.client.Cancel(j.call)
		}
	}
}
