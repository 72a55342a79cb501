package main

import (
	"context"
	"net"

	"github.com/cloudwego/netpoll"
	"github.com/lesismal/nbio"
	"github.com/panjf2000/gnet/v2"
	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor/evioserver"
)

// The peers of E1 and E2, each as its documentation has an echo, with one loop or poller where that can be said.

const (
	nameGnet         = "gnet"
	nameEvio         = "evio"
	nameEvioOnEvfork = "evio's handler on evfork"
)

func addTCP(r *Registry) {
	addTCPServer(r, nameEvfork, serveTCP)
	addTCPInC(r)
	addTCPServer(r, nameEvio, func(address string) error { return evio.Serve(evioEcho, "tcp://"+address) })
	addTCPServer(r, nameEvioOnEvfork, func(address string) error { return evioserver.Serve(evioEcho, "tcp://"+address) })
	addTCPServer(r, nameGnet, serveGnet)
	addTCPServer(r, "netpoll", serveNetpoll)
	addTCPServer(r, "nbio", serveNbio)
	addTCPServer(r, "net", serveNet)
}

// evioEcho is run by evio, and by our loop in its place.
var evioEcho = evio.Events{
	NumLoops: 1,
	Data:     func(_ evio.Conn, in []byte) (out []byte, action evio.Action) { return in, evio.None },
}

type gnetEcho struct{ gnet.BuiltinEventEngine }

func serveGnet(address string) error {
	return gnet.Run(&gnetEcho{}, "tcp://"+address, gnet.WithNumEventLoop(1))
}

func (*gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Next(-1)
	if err == nil {
		_, err = c.Write(in)
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

func serveNetpoll(address string) error {
	if err := netpoll.Configure(netpoll.Config{PollerNum: 1}); err != nil {
		return err
	}
	listener, err := netpoll.CreateListener("tcp", address)
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(func(_ context.Context, c netpoll.Connection) error {
		in, err := c.Reader().Next(c.Reader().Len())
		if err != nil {
			return err
		}
		if _, err := c.Writer().WriteBinary(in); err != nil {
			return err
		}
		if err := c.Writer().Flush(); err != nil {
			return err
		}
		return c.Reader().Release()
	})
	if err != nil {
		return err
	}
	return loop.Serve(listener)
}

func serveNbio(address string) error {
	engine := nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{address}, NPoller: 1})
	engine.OnData(func(c *nbio.Conn, in []byte) { c.Write(append([]byte(nil), in...)) }) // as its README has it
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}

// serveNet has a goroutine for each connection.
func serveNet(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			buffer := make([]byte, 64<<10)
			for {
				n, err := connection.Read(buffer)
				if err != nil {
					return
				}
				if _, err := connection.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}
