//go:build linux

package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// socketStreams returns a stream and the descriptor of its other side.
func socketStreams(loop *reactor.Loop, config reactor.StreamConfig) (*reactor.Stream, int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	stream, err := loop.NewStream(fds[0], fds[0], config)
	if err != nil {
		log.Fatal(err)
	}
	return stream, fds[1]
}

// A proxy is two streams that are piped to each other: each waits while the other
// is congested, and an EOF is passed on as a half-close.
func ExampleStream_PipeTo() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	// The proxy: what a client and a server are connected to.
	front, clientFD := socketStreams(loop, reactor.StreamConfig{})
	back, serverFD := socketStreams(loop, reactor.StreamConfig{})
	if err := errors.Join(front.PipeTo(back), back.PipeTo(front)); err != nil {
		log.Fatal(err)
	}

	var server *reactor.Stream
	server, err = loop.NewStream(serverFD, serverFD, reactor.StreamConfig{
		OnData: func(data []byte) { server.Writev([]byte("you said "), data) },
		OnEOF:  func() { server.CloseWrite() },
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := loop.NewStream(clientFD, clientFD, reactor.StreamConfig{
		OnData:  func(data []byte) { fmt.Printf("%s\n", data) },
		OnClose: func(err error) { fmt.Println("closed:", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	client.Write([]byte("hello"))
	client.CloseWrite()

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// you said hello
	// closed: <nil>
}

// A reader delivers lines, however they come in.
func ExampleStream_Reader_lines() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	r, w, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	stream, err := loop.AdoptFiles(r, nil, reactor.StreamConfig{
		OnEOF: func() { fmt.Println("end") },
	})
	if err != nil {
		log.Fatal(err)
	}
	stream.Reader().Each(reactor.Line(1000).OrEOF(), func(line []byte) { fmt.Printf("%q\n", line) })

	go func() {
		defer w.Close()
		io.WriteString(w, "one\r\nt")
		io.WriteString(w, "wo\n\nno end")
	}()
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// "one"
	// "two"
	// ""
	// "no end"
	// end
}

// What to read next is decided when a unit has come: a header tells how long the
// body is that follows it.
func ExampleReader_Push() {
	var r reactor.Reader
	r.Each(reactor.Line(100), func(header []byte) {
		var name string
		var size int
		fmt.Sscan(string(header), &name, &size)
		r.Push(reactor.Fixed(size), func(body []byte) { fmt.Printf("%s: %q\n", name, body) })
	})
	for _, piece := range []string{"text 5\nhel", "loempty 0\ntext 3\na\nb"} {
		if err := r.Feed([]byte(piece)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(r.End())
	// Output:
	// text: "hello"
	// empty: ""
	// text: "a\nb"
	// <nil>
}

// A stream whose other side says nothing for too long is asked, and then closed.
func ExampleStream_SetIdleTimeout() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	asked := false
	var stream *reactor.Stream
	stream, silent := socketStreams(loop, reactor.StreamConfig{
		OnTimeout: func(which reactor.Timeout) {
			fmt.Println(which)
			if asked {
				stream.CloseAfterFlush(time.Millisecond)
				return
			}
			asked = true
			stream.Write([]byte("are you there?\n"))
		},
		OnClose: func(err error) { fmt.Println("closed:", err) },
	})
	defer unix.Close(silent)
	stream.SetIdleTimeout(5 * time.Millisecond)

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// idle timeout
	// idle timeout
	// closed: <nil>
}

// Detach takes a connection away from the loop in the middle of a conversation,
// with what has been read already: the rest of it is blocking I/O, or another loop's.
func ExampleStream_Detach() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	stream, peer := socketStreams(loop, reactor.StreamConfig{})
	unix.Write(peer, []byte("UPGRADE\nfrom here on "))
	stream.Reader().Push(reactor.Line(100), func(line []byte) {
		fd, _, unread, _ := stream.Detach()
		fmt.Printf("%s: %q was read already\n", line, unread)

		unix.Write(peer, []byte("it is ours"))
		unix.Close(peer)
		f := os.NewFile(uintptr(fd), "connection")
		defer f.Close()
		rest, err := io.ReadAll(f)
		fmt.Printf("%q %v\n", rest, err)
	})
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// UPGRADE: "from here on " was read already
	// "it is ours" <nil>
}
