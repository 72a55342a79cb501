//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"context"
	"errors"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor"
)

// Serve does what evio.Serve does: it calls the handlers for what happens at the
// addresses, until one of them returns evio.Shutdown, and returns nil then, when all
// connections are closed. The error is that of an address that it cannot listen at. It
// runs a loop of its own on the goroutine of its caller, on which all handlers are called.
func Serve(events evio.Events, addr ...string) (err error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close()) }() // also when a handler panics
	server, err := Attach(loop, events, addr...)
	if err != nil {
		return err
	}
	server.OnClose(func(error) { loop.Stop() })
	return loop.Run(context.Background())
}
