package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func echo(_ context.Context, r rpc.Payload) (rpc.Payload, error) { return r, nil }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type pump struct {
	c    *rpc.Client
	left int
	pay  []byte
	loop *reactor.Loop
}

func (p *pump) Complete(rpc.Payload, error) {
	p.left--
	if p.left > 0 {
		must(p.c.GoBytesTo(p, p.pay))
	}
}

func cpu(who int) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func main() {
	child.Main(child.Workers{
		"async": func(w *child.Worker) error {
			loop, err := reactor.New(reactor.Config{})
			if err != nil {
				return err
			}
			defer loop.Close()
			return rpc.ServeAsync(w, loop, func(r rpc.Payload, done rpc.Done) { done.ReplyBytes(r) })
		},
		"sync": func(w *child.Worker) error { return rpc.ServeSync(w, echo) },
	})
	kind, mode := os.Args[1], os.Args[2]
	calls, _ := strconv.Atoi(os.Args[3])
	loop, err := reactor.New(reactor.Config{})
	must(err)
	proc, err := child.Start(loop, child.Config{Worker: kind})
	must(err)
	c, err := rpc.NewClient(proc, rpc.Config{OnError: func(err error) { panic(err) }})
	must(err)
	pay := make([]byte, 32)
	one := func(n int) {
		if mode == "loop" {
			p := &pump{c: c, left: n, pay: pay}
			must(c.GoBytesTo(p, pay))
			must(loop.RunUntil(context.Background(), func() bool { return p.left == 0 }))
			return
		}
		g, _ := strconv.Atoi(mode)
		release := loop.Hold()
		var wg sync.WaitGroup
		go func() {
			for range g {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for range n / g {
						_, err := c.CallBytes(context.Background(), pay)
						must(err)
					}
				}()
			}
			wg.Wait()
			release()
			loop.Stop()
		}()
		loop.Run(context.Background())
	}
	one(max(calls/10, 1000))
	w0, s0 := time.Now(), cpu(syscall.RUSAGE_SELF)
	one(calls)
	w, s := time.Since(w0), cpu(syscall.RUSAGE_SELF)-s0
	st := loop.Stats()
	c.Shutdown()
	loop.Run(context.Background())
	ch := cpu(syscall.RUSAGE_CHILDREN)
	fmt.Printf("%s %s procs %d: %d ns/call, parent cpu %d ns, child cpu %d ns; it %.2f waits %.2f blocked %.2f\n", kind, mode, runtime.GOMAXPROCS(0), int(w)/calls, int(s)/calls, int(ch)*10/11/calls,
		float64(st.Iterations)*10/11/float64(calls), float64(st.Waits)*10/11/float64(calls), float64(st.Blocked)*10/11/float64(calls))
}
