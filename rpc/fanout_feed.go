package rpc

import "github.com/evfork/evfork/internal/wrap"

// errFanLeft is why not all jobs were done of a sequence that has called runtime.Goexit, as a test's FailNow does.
var errFanLeft = wrap.Error("rpc: bad fan-out: the sequence of jobs has ended its goroutine", ErrFanOut)

// feed runs the sequence of jobs, on a goroutine of its own, and encodes their
// requests: the loop has only to copy them.
func (f *FanOut[Req, Resp]) feed() {
	var encoding *fanJob[Req, Resp]
	returned := false
	defer func() {
		r := recover()
		f.mu.Lock()
		if encoding != nil && encoding.open { // its codec has panicked: it has no result
			encoding.open = false
			f.open--
		}
		f.fed, f.panicked = true, r
		if r == nil && !returned {
			f.stopLocked(errFanLeft)
		}
		left := f.left
		f.mu.Unlock()
		if r != nil && left {
			panic(r) // Results has ended: nobody else would hear of it
		}
		f.wake()
	}()
	f.feedJobs(&encoding)
	returned = true
}

// feedJobs takes jobs until there are no more, or none are wanted. encoding is the one whose codec is at work.
func (f *FanOut[Req, Resp]) feedJobs(encoding **fanJob[Req, Resp]) {
	if !f.waitForRoom() {
		return
	}
	for req := range f.jobs {
		j := f.newJob(req)
		if j == nil {
			return
		}
		*encoding = j
		request, err := f.method.appendRequest(j.request[:0], req)
		*encoding = nil
		if err != nil {
			f.finish(j, nil, err)
			f.wake()
		} else {
			j.request = request
			f.submit(j)
		}
		if !f.waitForRoom() {
			return
		}
	}
}

// waitForRoom waits until a job may be taken. false: none will be wanted.
func (f *FanOut[Req, Resp]) waitForRoom() bool {
	for {
		f.mu.Lock()
		stopping, room := f.stopping, f.open < f.capacity
		f.mu.Unlock()
		if stopping || room {
			return !stopping
		}
		<-f.room
	}
}

// newJob accepts a job, unless none is wanted any more.
func (f *FanOut[Req, Resp]) newJob(req Req) *fanJob[Req, Resp] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping {
		return nil
	}
	var j *fanJob[Req, Resp]
	if n := len(f.free); n > 0 {
		j = f.free[n-1]
		f.free = f.free[:n-1]
	} else {
		j = &fanJob[Req, Resp]{fan: f}
		f.all = append(f.all, j)
	}
	f.open++
	j.open, j.req = true, req
	return j
}

// submit hands a job to the loop.
func (f *FanOut[Req, Resp]) submit(j *fanJob[Req, Resp]) {
	f.mu.Lock()
	var err error
	if !f.posted {
		err = f.loop.Post(f.take)
	}
	if err == nil {
		f.posted = true
		f.submitted.add(j)
	} else {
		f.stopLocked(err)
	}
	f.mu.Unlock()
	if err != nil {
		f.finish(j, nil, err)
		f.wake()
	}
}

// wake lets Results look. The feeder must say so in either mode.
func (f *FanOut[Req, Resp]) wake() {
	if f.config.RunLoop {
		f.loop.Post(func() {}) // the end of the loop, if it has ended, is noticed there
		return
	}
	signal(f.ready)
}

// finish is the result of a job. The reply is a view.
func (f *FanOut[Req, Resp]) finish(j *fanJob[Req, Resp], reply Payload, err error) {
	if err == nil {
		reply = reply.clone()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !j.open {
		return // abandoned
	}
	j.open, j.reply, j.err = false, reply, err
	if cap(j.request) > bufferKept {
		j.request = nil
	}
	f.results = append(f.results, j)
}
