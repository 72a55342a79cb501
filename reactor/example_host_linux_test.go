package reactor_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/evfork/evfork/reactor"
)

// A loop that some library has made runs inside the program's own. The inner one
// must have a descriptor, which a loop on poll(2) has not.
func ExampleLoop_Host() {
	outer, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer outer.Close()
	inner, err := reactor.New(reactor.Config{Backend: "epoll"})
	if err != nil {
		log.Fatal(err)
	}
	defer inner.Close()

	outer.AfterFunc(0, func() { fmt.Println("outside") }) // is due first: inner's deadline is later
	inner.AfterFunc(time.Millisecond, func() { fmt.Println("inside") })
	_, err = outer.Host(inner, func(err error) { fmt.Println("nothing is left inside:", err) })
	if err != nil {
		log.Fatal(err)
	}

	if err := outer.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// outside
	// inside
	// nothing is left inside: <nil>
}
