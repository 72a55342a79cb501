package main

import (
	"context"

	"github.com/panjf2000/gnet/v2"
)

func gnetContestant() Contestant {
	return Contestant{
		Name: "gnet", Module: "github.com/panjf2000/gnet/v2", Serve: serveGnet,
		// gnet.EventHandler has no event for the end of reading: OnClose is "a
		// connection has been closed", and eventloop.read calls it at n == 0.
		Remarks: map[string]string{"half-close": "unsupported: no event for it in gnet.EventHandler"},
	}
}

type gnetServer struct {
	gnet.BuiltinEventEngine
	binding *Binding
}

// serveGnet uses gnet's defaults: one event loop, level-triggered.
func serveGnet(b *Binding) error {
	return gnet.Run(&gnetServer{binding: b}, b.Network+"://"+b.Address)
}

func (s *gnetServer) OnBoot(engine gnet.Engine) gnet.Action {
	s.binding.ready(func() {
		s.binding.refused("Engine.Stop", engine.Stop(context.Background()))
	})
	return gnet.None
}

func (s *gnetServer) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(s.binding.newSession())
	return nil, gnet.None
}

func (s *gnetServer) OnClose(c gnet.Conn, err error) gnet.Action {
	if session, ok := c.Context().(*session); ok {
		session.closed()
	}
	return gnet.None
}

// OnTraffic writes with Write or Writev, which keep what the kernel does not
// take (connection_unix.go), so their error is about the connection, whose
// OnClose follows. Close is the documented action to end it; gnet has neither
// an event for an empty outbound buffer nor a close that waits for one, and
// AsyncWrite's callback is called when the bytes have been buffered, too.
func (s *gnetServer) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Next(-1)
	if err != nil || len(in) == 0 {
		return gnet.None
	}
	session := c.Context().(*session)
	a := session.data(in)
	if a.push {
		// AsyncWrite is the documented way from another goroutine.
		go session.push(func(p []byte) error { return c.AsyncWrite(p, nil) })
	}
	switch len(a.vector) {
	case 0:
	case 1:
		_, err = c.Write(a.vector[0])
	default:
		_, err = c.Writev(a.vector)
	}
	s.binding.refused("Write", err)
	switch {
	case a.stop:
		return gnet.Shutdown
	case a.close:
		return gnet.Close
	}
	return gnet.None
}
