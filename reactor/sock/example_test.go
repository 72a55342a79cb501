//go:build linux

package sock_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

func newExampleLoop() *reactor.Loop {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	return loop
}

// A server that sends back what it gets, and a client, on one loop. Run returns
// when the connection and the listener are closed.
func ExampleListen() {
	loop := newExampleLoop()
	defer loop.Close()

	var listener *sock.Listener
	listener, err := sock.Listen(loop, "tcp", "localhost:0", sock.ListenConfig{}, func(c *sock.Conn) {
		var s *reactor.Stream
		s, err := c.Stream(reactor.StreamConfig{
			OnData: func(p []byte) { s.Write(p) },
			OnEOF:  func() { s.CloseWrite() },
		})
		if err != nil {
			log.Fatal(err)
		}
		listener.Close() // one client is enough
	})
	if err != nil {
		log.Fatal(err)
	}

	_, err = sock.Dial(loop, "tcp", listener.Addr().String(), sock.DialConfig{}, func(c *sock.Conn, err error) {
		if err != nil {
			log.Fatal(err)
		}
		s, err := c.Stream(reactor.StreamConfig{
			OnData: func(p []byte) { fmt.Printf("echo: %s\n", p) },
			OnEOF:  func() { fmt.Println("the server is done") },
		})
		if err != nil {
			log.Fatal(err)
		}
		s.Write([]byte("hello"))
		s.CloseWrite()
	})
	if err != nil {
		log.Fatal(err)
	}

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// echo: hello
	// the server is done
}

// A dial ends with a connection or an error, and within its Timeout.
func ExampleDial() {
	loop := newExampleLoop()
	defer loop.Close()

	_, err := sock.Dial(loop, "unix", "/nonexistent/socket", sock.DialConfig{Timeout: time.Minute}, func(c *sock.Conn, err error) {
		fmt.Println(err)
	})
	if err != nil {
		log.Fatal(err) // then the function is not called
	}

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: sock: dial unix /nonexistent/socket: connect /nonexistent/socket: no such file or directory
}

// Datagrams: a server that answers, and a client that talks to it alone.
func ExampleListenPacket() {
	loop := newExampleLoop()
	defer loop.Close()

	var server, client *sock.PacketConn
	server, err := sock.ListenPacket(loop, "udp", "localhost:0", sock.PacketConfig{
		OnPacket: func(data []byte, from sock.Addr) {
			server.SendTo(append([]byte("you said "), data...), from.AddrPort)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	addr, err := server.Addr()
	if err != nil {
		log.Fatal(err)
	}

	client, err = sock.DialPacket(loop, "udp", addr.String(), sock.PacketConfig{
		OnPacket: func(data []byte, from sock.Addr) {
			fmt.Printf("%s\n", data)
			client.Close()
			server.Close()
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Send([]byte("hello")); err != nil {
		log.Fatal(err)
	}

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: you said hello
}

// A connection that package net has made goes on as a stream, and a stream as a
// connection again.
func ExampleAdopt() {
	loop := newExampleLoop()
	defer loop.Close()

	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	other, err := listener.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()

	var stream *reactor.Stream
	stream, err = sock.Adopt(loop, conn, reactor.StreamConfig{
		OnData: func(p []byte) {
			fmt.Printf("the loop read %s\n", p)
			loop.Stop()
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	other.Write([]byte("one"))
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}

	again, _, err := sock.Detach(stream)
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	other.Write([]byte("two"))
	buf := make([]byte, 16)
	n, err := again.Read(buf)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("a goroutine read %s\n", buf[:n])
	// Output:
	// the loop read one
	// a goroutine read two
}
