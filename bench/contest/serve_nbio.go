package main

import "github.com/lesismal/nbio"

func nbioContestant() Contestant {
	return Contestant{
		Name: "nbio", Module: "github.com/lesismal/nbio", Serve: serveNbio,
		// Engine's callbacks are OnOpen, OnData and OnClose; EPOLLRDHUP closes the
		// connection (poller_epoll.go, readWriteLoop).
		Remarks: map[string]string{
			"half-close": "unsupported: no event for it in nbio.Engine",
			// "MaxWriteBufferSize …, 0 by default, represents no limit"; with a limit, a
			// connection that would exceed it is closed (engine.go, Config).
			"never-read": "documented: no limit unless MaxWriteBufferSize is set",
		},
	}
}

// serveNbio is the README's server, with the default configuration.
func serveNbio(b *Binding) error {
	engine := nbio.NewEngine(nbio.Config{Network: b.Network, Addrs: []string{b.Address}})
	stopped := make(chan struct{})
	stop := func() {
		engine.Stop()
		close(stopped)
	}
	engine.OnOpen(func(c *nbio.Conn) { c.SetSession(b.newSession()) })
	engine.OnClose(func(c *nbio.Conn, err error) {
		if session, ok := c.Session().(*session); ok {
			session.closed()
		}
	})
	engine.OnData(func(c *nbio.Conn, data []byte) {
		session := c.Session().(*session)
		a := session.data(data)
		if a.push {
			// "Concurrent Write/Close supported" (README).
			go session.push(func(p []byte) error {
				_, err := c.Write(p)
				return err
			})
		}
		nbioObey(b, c, a, stop)
	})
	if err := engine.Start(); err != nil {
		return err
	}
	b.ready(stop) // Start has returned, so that Stop may be called
	<-stopped
	return nil
}

// nbioObey copies what came before writing it, as the README does. "This is a
// non-blocking interface, but you can use it as you use std" (Conn.Write), so
// Close follows Write. Engine.Stop waits for connections whose callbacks may be
// this one's, so that it is called on a goroutine of its own.
func nbioObey(b *Binding, c *nbio.Conn, a answer, stop func()) {
	var err error
	switch len(a.vector) {
	case 0:
	case 1:
		_, err = c.Write(append([]byte{}, a.vector[0]...))
	default:
		_, err = c.Writev(a.vector)
	}
	b.refused("Write", err)
	if a.close {
		b.refused("Close", c.Close())
	}
	if a.stop {
		go stop()
	}
}
