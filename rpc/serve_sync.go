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
	reader := newFrameReader(s.readFD, s.maxFrame)
	pace := newPace(s.config.FlushEach)
	for {
		more, err := reader.read()
		if !more || err != nil {
			return s.finish(err)
		}
		if err := s.serveBatch(reader, handler, &pace); err != nil {
			return err
		}
		if err := s.writer.flush(); err != nil {
			return err
		}
	}
}

// serveBatch answers what one read has brought. While handlers are cheap the
// whole batch is timed and its replies leave together; else each of them is.
func (s *Server) serveBatch(r *frameReader, handler Handler, pace *pace) error {
	batching := pace.batching()
	n := 0
	pace.start()
	for r.decoder.next() {
		id, call, err := s.accept(r.decoder.word, r.decoder.payload)
		if err != nil {
			return err
		}
		if !call {
			continue
		}
		n++
		if !batching {
			pace.start()
		}
		reply, err := invoke(context.Background(), handler, r.decoder.payload)
		if !batching {
			pace.stop(1)
		}
		if err := s.answer(id, reply, err, !batching); err != nil {
			return err
		}
	}
	if batching {
		pace.stop(n)
	}
	return r.decoder.err
}

// finish ends a Serve method: err is nil at the end of the input.
func (s *Server) finish(err error) error {
	if err == nil && s.config.Done != nil {
		s.config.Done()
	}
	return err
}
