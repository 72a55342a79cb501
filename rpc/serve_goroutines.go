package rpc

import (
	"context"
	"sync"
)

// defaultGoroutines is the limit of ServeGoroutines unless given.
const defaultGoroutines = 1024

// ServeGoroutines answers each call on a goroutine of its own, at most limit at
// a time (0: 1024); beyond that it stops reading, and the pipe pushes back.
// Replies leave promptly, in the order of completion. It returns like ServeSync,
// after the last handler has.
func ServeGoroutines(fds FDs, handler Handler, limit int) error {
	s, err := NewServer(fds, ServerConfig{})
	if err != nil {
		return err
	}
	return s.ServeGoroutines(handler, limit)
}

// ServeGoroutines is the function of the same name for a server with a
// configuration.
func (s *Server) ServeGoroutines(handler Handler, limit int) error {
	if limit <= 0 {
		limit = defaultGoroutines
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	g := &goroutineServer{Server: s, handler: handler, ctx: ctx, cancel: cancel, slots: make(chan struct{}, limit)}
	read := make(chan error, 1)
	go func() { read <- g.readCalls() }()
	var err error
	select {
	case err = <-read:
		if err != nil {
			cancel(err)
		}
	case <-ctx.Done():
		// The reader may be blocked until the parent writes or closes. It is not
		// waited for, and begins no call any more.
	}
	for range limit { // wait for every handler, and leave no room for another
		g.slots <- struct{}{}
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	return s.finish(err)
}

type goroutineServer struct {
	*Server
	handler Handler
	ctx     context.Context // ended by the first error
	cancel  context.CancelCauseFunc
	slots   chan struct{} // holds one for each running handler
	pool    sync.Pool     // of *[]byte, requests
}

func (g *goroutineServer) readCalls() error {
	reader := g.newFrameReader()
	for g.ctx.Err() == nil {
		more, err := reader.read()
		if !more || err != nil {
			return err
		}
		for reader.decoder.next() {
			id, call, err := g.accept(reader.decoder.word, reader.decoder.payload)
			if err != nil {
				return err
			}
			if !call {
				continue
			}
			select {
			case g.slots <- struct{}{}:
				g.start(id, reader.decoder.payload)
			case <-g.ctx.Done():
				return nil
			}
		}
		if reader.decoder.err != nil {
			return reader.decoder.err
		}
	}
	return nil
}

// invoke calls the handler, turning a panic into an error.
func (g *goroutineServer) invoke(request Payload) (reply Payload, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = recovered(r)
		}
	}()
	return g.handler(g.ctx, request)
}

// start runs the handler on a copy of the request, whose buffer is reused when
// the handler has returned.
func (g *goroutineServer) start(id uint32, request Payload) {
	buf, _ := g.pool.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = append((*buf)[:0], request...)
	go func() {
		reply, err := g.invoke(*buf)
		over, err := g.answerInTurn(id, reply, err, true)
		if err != nil {
			g.cancel(err)
		}
		if cap(*buf) <= requestKept {
			g.pool.Put(buf)
		}
		for range over {
			<-g.slots
		}
	}()
}
