// Echo is a server that sends back what it gets, on TCP or a Unix socket, with
// backpressure: from a client that does not read its echo, no more is read.
//
//	echo -listen localhost:7007      then, elsewhere: nc localhost 7007
//	echo -network unix -listen /tmp/echo
//	echo -demo                       serves three clients of its own, and ends
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

func main() {
	network := flag.String("network", "tcp", "tcp, tcp4, tcp6 or unix")
	address := flag.String("listen", "localhost:0", "`address` to listen on")
	demo := flag.Bool("demo", false, "serve three clients of our own, and end")
	flag.Parse()
	if err := run(*network, *address, *demo); err != nil {
		log.Fatal(err)
	}
}

func run(network, address string, demo bool) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	config := sock.ListenConfig{OnError: func(err error) { log.Print(err) }}
	listener, err := sock.Listen(loop, network, address, config, serve)
	if err != nil {
		return err
	}
	if demo {
		listener.Unref() // Run returns when the clients are done
		return clients(loop, network, listener.Addr().String())
	}
	log.Print("listening on ", listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := loop.Run(ctx); err != ctx.Err() {
		return err
	}
	return nil
}

// serve makes a stream of a connection. It reads only while what it has to send
// is below the high-water mark.
func serve(c *sock.Conn) {
	var s *reactor.Stream
	s, err := c.Stream(reactor.StreamConfig{
		OnData: func(p []byte) {
			if s.Write(p) == nil && s.Congested() {
				s.Pause()
			}
		},
		OnDrain: func() { s.Resume() },
		OnEOF:   func() { s.CloseWrite() },
	})
	if err != nil {
		log.Print(err) // c is closed when we return
	}
}

// clients sends a greeting and a megabyte over each of three connections, and
// prints what came back.
func clients(loop *reactor.Loop, network, address string) error {
	const size = 1 << 20
	got := make([]int, 3)
	for i := range got {
		greeting := fmt.Sprintf("hello from %d\n", i)
		_, err := sock.Dial(loop, network, address, sock.DialConfig{}, func(c *sock.Conn, err error) {
			if err != nil {
				log.Fatal(err)
			}
			s, err := c.Stream(reactor.StreamConfig{OnData: func(p []byte) { got[i] += len(p) }})
			if err != nil {
				log.Fatal(err)
			}
			s.Write(append([]byte(greeting), make([]byte, size)...))
			s.CloseWrite()
		})
		if err != nil {
			return err
		}
	}
	if err := loop.Run(context.Background()); err != nil {
		return err
	}
	for i, n := range got {
		if _, err := fmt.Printf("client %d: %d bytes came back\n", i, n); err != nil {
			return err
		}
	}
	return nil
}
