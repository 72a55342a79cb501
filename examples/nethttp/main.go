// Nethttp is an ordinary web server whose handlers call a worker process from their
// goroutines. When the worker dies another takes over: the requests it held get status
// 502, one that it had not begun is made again. -demo makes such requests, and ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	child.Main(child.Workers{"greeter": greeter})
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	demo := flag.Bool("demo", false, "make a few requests and end")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	check(err)
	loop, err := reactor.New(reactor.Config{})
	check(err)
	s := &service{loop: loop}
	s.start()
	ran := make(chan error)
	go func() { ran <- errors.Join(loop.Run(context.Background()), loop.Close()) }() // Close ends the calls that are left
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	server := &http.Server{Handler: s}
	go func() { log.Print(server.Serve(listener)); stop() }()
	if url := "http://" + listener.Addr().String(); *demo {
		show(url)
	} else {
		log.Print("serving ", url)
		<-ctx.Done()
	}
	stop() // from here on Ctrl-C ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(errors.Join(server.Shutdown(ctx), s.client.Load().ShutdownWait(ctx)))
	loop.Stop()
	check(<-ran)
}

// check ends the program on an error; the worker ends with it.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// service answers requests with what its worker replies.
type service struct {
	loop   *reactor.Loop
	client atomic.Pointer[rpc.Client]
}

// start puts a new worker in charge, on the loop. If they all die early, pause here: loop.AfterFunc.
func (s *service) start() {
	proc, err := child.Start(s.loop, child.Config{Worker: "greeter"})
	check(err)
	client, err := rpc.NewClient(proc, rpc.Config{OnError: func(err error) { log.Print(err); s.start() }})
	check(err)
	s.client.Store(client)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, err := s.client.Load().Call(r.Context(), r.URL.Path)
	if lost, ok := errors.AsType[*rpc.LostError](err); ok && !lost.Started {
		s.loop.Do(r.Context(), func() {}) // runs after OnError, when the next worker is in charge
		reply, err = s.client.Load().Call(r.Context(), r.URL.Path)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Write(reply)
}

// greeter is the worker.
func greeter(w *child.Worker) error {
	held := make(chan struct{})
	return rpc.ServeGoroutines(w, func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
		path, _, err := request.Next()
		switch string(path) {
		case "/hold": // until somebody asks for the crash
			select {
			case held <- struct{}{}:
			case <-ctx.Done(): // whoever asked has gone
			}
			<-ctx.Done()
		case "/crash": // as soon as a request is held
			select {
			case <-held:
				os.Exit(3)
			case <-ctx.Done():
			}
		}
		return fmt.Appendf(nil, "process %d greets %s\n", os.Getpid(), path), err
	}, 0)
}

// show makes requests to the server and prints their statuses.
func show(url string) {
	get := func(path string) string {
		resp, err := http.Get(url + path)
		check(err)
		resp.Body.Close()
		return "GET " + path + ": " + resp.Status
	}
	say := func(status string) {
		_, err := fmt.Println(status)
		check(err)
	}
	held := make(chan string)
	say(get("/before"))
	go func() { held <- get("/hold") }()
	say(get("/crash"))
	say(<-held)
	say(get("/after"))
}
