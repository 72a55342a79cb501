package rpc

import "context"

// ServeSync answers calls one at a time, in their order, on the goroutine that
// calls it. It returns nil when the parent has closed its side and every call
// has been answered, and an error when the parent cannot be understood or is
// gone. It needs no loop: reading blocks.
func ServeSync(fds FDs, handler Handler) error {
	s, err := NewServer(fds, ServerConfig{})
	if err != nil {
		return err
	}
	return s.ServeSync(handler)
}

// ServeSync is the function of the same name for a server with a configuration.
func (s *Server) ServeSync(handler Handler) error {
	y := &syncServer{Server: s, handler: handler, reader: s.newFrameReader(), pace: newPace(s.config.FlushEach)}
	for {
		more, err := y.reader.read()
		if !more || err != nil {
			return s.finish(err)
		}
		err = y.serveBatch()
		// Also after an error: calls have been answered before it.
		if flushErr := s.writer.flush(); err == nil {
			err = flushErr
		}
		if err != nil {
			return err
		}
	}
}

// syncServer is a Server that answers in place.
type syncServer struct {
	*Server
	handler Handler
	reader  *frameReader
	pace    pace
	calls   int    // of this batch, so far
	current uint32 // the call that is being handled
}

// serveBatch answers what one read has brought. While handlers are cheap the
// whole batch is timed and its replies leave together; else each of them is.
func (y *syncServer) serveBatch() error {
	batching := y.pace.batching()
	y.calls = 0
	y.pace.start()
	for done := false; !done; {
		var err error
		if done, err = y.serveFrames(batching); err != nil {
			return err
		}
	}
	if batching {
		y.pace.stop(y.calls)
	}
	return y.reader.decoder.err
}

// serveFrames answers calls until none is left (done) or a handler panics. One
// deferred function for all of them is cheaper than one for each.
func (y *syncServer) serveFrames(batching bool) (done bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			done, err = false, y.answer(y.current, nil, recovered(r), true)
		}
	}()
	d := &y.reader.decoder
	for d.next() {
		id, call, err := y.accept(d.word, d.payload)
		if err != nil {
			return true, err
		}
		if !call {
			continue
		}
		y.calls++
		y.current = id
		if !batching {
			y.pace.start()
		}
		reply, err := y.handler(context.Background(), d.payload)
		if !batching {
			y.pace.stop(1)
		}
		if err := y.answer(id, reply, err, !batching); err != nil {
			return true, err
		}
	}
	return true, nil
}

// finish ends a Serve method: err is nil at the end of the input.
func (s *Server) finish(err error) error {
	if err == nil && s.config.Done != nil {
		s.config.Done()
	}
	return err
}
