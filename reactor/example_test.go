//go:build linux

package reactor_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// Run returns when nothing is left to wait for.
func ExampleLoop() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	loop.Post(func() {
		fmt.Println("at once")
		loop.AfterFunc(time.Millisecond, func() { fmt.Println("soon") })
		loop.AfterFunc(2*time.Millisecond, func() { fmt.Println("later") })
	})

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("nothing is left")
	// Output:
	// at once
	// soon
	// later
	// nothing is left
}

// Other goroutines hand functions to the loop, and may wait for them.
func ExampleLoop_Do() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	count := 0 // the loop's: nobody else touches it
	release := loop.Hold()
	go func() {
		defer release()
		for range 3 {
			loop.Do(context.Background(), func() { count++ })
		}
	}()

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(count)
	// Output: 3
}

// A repeating timer stops itself.
func ExampleTimer() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	count := 0
	var tick *reactor.Timer
	tick = loop.Every(0, time.Millisecond, func() {
		count++
		fmt.Println("tick", count)
		if count == 3 {
			tick.Stop()
		}
	})

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// tick 1
	// tick 2
	// tick 3
}

// A watcher is called while its descriptor is ready. The descriptor stays the
// caller's.
func ExampleLoop_WatchFD() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		log.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])

	var reader *reactor.FDWatcher
	reader, err = loop.WatchFD(pipe[0], reactor.Read, func(ready reactor.Ready) {
		var buf [64]byte
		n, err := reactor.ReadFD(pipe[0], buf[:])
		if err != nil {
			return // EAGAIN: readiness is a hint
		}
		fmt.Printf("%s: %q\n", reactor.ReadyString(ready), buf[:n])
		reader.Stop() // so that nothing is left
	})
	if err != nil {
		log.Fatal(err)
	}
	loop.AfterFunc(0, func() { unix.Write(pipe[1], []byte("hello")) })

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: read: "hello"
}

// A stream owns its descriptors, writes without blocking and loses nothing.
// Here two of them talk over a pair of sockets.
func ExampleStream() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	var server *reactor.Stream
	server, err = loop.NewStream(fds[0], fds[0], reactor.StreamConfig{
		OnData: func(data []byte) { server.Write(data) }, // an echo
		OnEOF:  func() { server.CloseWrite() },           // after what is still queued
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := loop.NewStream(fds[1], fds[1], reactor.StreamConfig{
		OnData:  func(data []byte) { fmt.Printf("%s", data) },
		OnClose: func(err error) { fmt.Println("closed:", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	client.Write([]byte("one "))
	client.Write([]byte("two\n"))
	client.CloseWrite()

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// one two
	// closed: <nil>
}

// Functions posted by a goroutine run on the loop, in their order.
func ExampleLoop_Post() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	release := loop.Hold() // or Run would find nothing to wait for
	go func() {
		defer release()
		for _, step := range []string{"read", "parsed", "stored"} {
			loop.Post(func() { fmt.Println(step) })
		}
	}()

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// read
	// parsed
	// stored
}
