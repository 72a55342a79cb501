package main

import (
	"context"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// serveTCP is the server of examples/echo.
func serveTCP(address string) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	if _, err := sock.Listen(loop, "tcp4", address, sock.ListenConfig{}, echoStream); err != nil {
		return err
	}
	return loop.Run(context.Background())
}

func echoStream(c *sock.Conn) {
	var s *reactor.Stream
	s, _ = c.Stream(reactor.StreamConfig{ // an error closes c, which the client sees
		OnData: func(p []byte) {
			if s.Write(p) == nil && s.Congested() {
				s.Pause()
			}
		},
		OnDrain: func() { s.Resume() },
		OnEOF:   func() { s.CloseWrite() },
	})
}
