//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/evioserver"
)

// An unchanged server of evio: it echoes what it gets, and ends when it gets "quit".
func ExampleServe() {
	answer := make(chan string, 1)
	events := evio.Events{
		Serving: func(s evio.Server) evio.Action {
			go func() { answer <- ask(s.Addrs[0], "quit") }()
			return evio.None
		},
		Data: func(_ evio.Conn, in []byte) (out []byte, action evio.Action) {
			if string(in) == "quit" {
				return []byte("bye"), evio.Shutdown
			}
			return in, evio.None
		},
	}
	fmt.Println(evioserver.Serve(events, "tcp://127.0.0.1:0"))
	fmt.Println(<-answer)
	// Output:
	// <nil>
	// bye
}

// The handlers share a loop with timers, children, whatever else is on it.
func ExampleAttach() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()
	events := evio.Events{
		Data: func(_ evio.Conn, in []byte) (out []byte, action evio.Action) { return in, evio.Close },
	}
	server, err := evioserver.Attach(loop, events, "tcp://127.0.0.1:0", "udp://127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server.OnClose(func(err error) { fmt.Println("ended:", err) })
	addr := server.Addrs()[0]
	go func() {
		fmt.Println(ask(addr, "hello"))
		loop.Post(server.Close) // the loop runs until the server has ended
	}()
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello
	// ended: <nil>
}

// ask sends a question and returns all that comes.
func ask(addr net.Addr, question string) string {
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if _, err := io.WriteString(c, question); err != nil {
		return err.Error()
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}
