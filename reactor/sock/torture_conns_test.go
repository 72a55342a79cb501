package sock_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// What the torture listens on and dials, and what it does with connections.

// refused reports an error that is not the end of the loop.
func (x *tortured) refused(what string, err error) bool {
	if err != nil && !errors.Is(err, reactor.ErrClosed) {
		x.t.Errorf("%s: %v", what, err)
	}
	return err != nil
}

func (x *tortured) listen() {
	open := x.listeners[:0]
	for _, l := range x.listeners {
		if l.FD() >= 0 {
			open = append(open, l)
		}
	}
	if x.listeners = open; len(open) > 5 {
		return
	}
	network, address := "tcp", "127.0.0.1:0"
	if x.oneIn(2) {
		x.names++
		network, address = "unix", filepath.Join(x.dir, fmt.Sprint(x.names))
	}
	l := &torturedListener{}
	config := sock.ListenConfig{Shed: x.oneIn(3), Backlog: x.rnd.IntN(3), OnError: func(error) { x.callback("OnError") }}
	var err error
	x.call(func() {
		l.Listener, err = sock.Listen(x.loop, network, address, config, func(c *sock.Conn) {
			if l.paused {
				x.t.Error("a paused or closed listener has accepted")
			}
			x.connection(c)
		})
	})
	if x.refused("listen", err) {
		return
	}
	l.SetAccept(func(accept func() (int, error)) (int, error) {
		if !x.calm && x.oneIn(3) {
			errnos := []unix.Errno{unix.EMFILE, unix.ENOMEM, unix.ECONNABORTED, unix.EINTR, unix.EINVAL}
			return -1, errnos[x.rnd.IntN(len(errnos))]
		}
		return accept()
	})
	x.listeners = append(x.listeners, l)
}

func (x *tortured) dial() {
	if len(x.dials) >= tortureDials {
		return
	}
	network, address := "tcp", reservedAddress
	if l, ok := anyOf(x, x.listeners); ok {
		if address = l.Addr().String(); l.Addr().Path != "" {
			network = "unix"
		}
	}
	config := sock.DialConfig{}
	if x.oneIn(2) {
		config.Timeout = time.Duration(1+x.rnd.IntN(5000)) * time.Microsecond
	}
	d := &torturedDial{}
	var err error
	x.call(func() {
		d.Dialing, err = sock.Dial(x.loop, network, address, config, func(c *sock.Conn, err error) {
			d.calls++
			if err != nil {
				x.callback("the function of a dial")
				return
			}
			x.connection(c)
		})
	})
	if !x.refused("dial", err) {
		x.dials = append(x.dials, d)
	}
}

// reservedAddress is where nobody listens: tcpmux is of no use to anybody.
const reservedAddress = "127.0.0.1:1"

// connection does at random what may be done with a connection that is lent.
func (x *tortured) connection(c *sock.Conn) {
	switch x.rnd.IntN(5) {
	case 0: // it is closed
	case 1:
		unix.Close(c.Take())
	case 2:
		x.refused("reset", c.Reset())
	default:
		s, err := c.Stream(reactor.StreamConfig{OnClose: func(error) { x.callback("OnClose") }})
		if !x.refused("stream", err) {
			x.streams = append(x.streams, s)
		}
	}
	x.callback("the function of a connection")
}
