// Timers is the second example of AnyEvent::Fork::RPC: three countdowns run in
// one child process, on timers of the child's own loop, and tell of themselves
// by events. The one that was started last ends first.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	child.Main(child.Workers{"countdown": countdown})
	if err := parent(); err != nil {
		log.Fatal(err)
	}
}

// parent starts the child and asks for three countdowns.
func parent() error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "countdown"})
	if err != nil {
		return err
	}
	var lost error
	client, err := rpc.NewClient(proc, rpc.Config{
		OnEvent: func(event rpc.Payload) { show(event, nil) },
		OnError: func(err error) { lost = err },
	})
	if err != nil {
		return err
	}
	for count := 3; count > 0; count-- {
		if err := client.Go(show, strconv.Itoa(count)); err != nil {
			return err
		}
	}
	client.Shutdown() // no more calls: the child answers these three and exits
	err = loop.Run(context.Background())
	return errors.Join(err, lost)
}

// show prints a reply or an event.
func show(payload rpc.Payload, err error) {
	text, _, decodeErr := payload.Next()
	if err == nil {
		err = decodeErr
	}
	if err != nil {
		log.Print(err)
		return
	}
	if _, err := fmt.Println(string(text)); err != nil {
		log.Fatal(err)
	}
}

// countdown is the child: each call counts up once a second and is answered at
// the end, while others go on. Each tick starts the timer of the next: however late the
// loop comes to one, the countdowns take turns.
func countdown(w *child.Worker) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	server, err := rpc.NewServer(w, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	return server.ServeAsync(loop, func(request rpc.Payload, done rpc.Done) {
		arg, _, _ := request.Next()
		count, err := strconv.Atoi(string(arg))
		if err != nil {
			done.Fail(err)
			return
		}
		server.Event(fmt.Sprintf("starting to count up to %d", count))
		i := 0
		var tick *reactor.Timer
		tick = loop.AfterFunc(time.Second, func() {
			i++
			server.Event(fmt.Sprintf("count %d of %d", i, count))
			if i < count {
				tick.Reset(time.Second)
			} else {
				done.Reply(fmt.Sprintf("job %d finished", count))
			}
		})
	})
}
