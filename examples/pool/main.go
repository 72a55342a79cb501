// Pool gives calls to the least busy of several workers, on one loop; pool.go does that. What
// they have no room for waits in a queue. A worker that dies is replaced, later and later if it
// keeps dying; a call that it had certainly not begun is made again. One that hangs is put
// down soon after its call's deadline. One of the jobs here crashes its worker, and one hangs.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/stringcodec"
)

// work is what the workers do with a text.
var work = rpc.NewMethod[string, string]("work", stringcodec.Codec{})

func main() {
	child.Main(child.Workers{"worker": serve})
	if err := run(100); err != nil {
		log.Fatal(err)
	}
}

func run(jobs int) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	p := newPool(loop)
	answered, failures := 0, []string(nil)
	done := func(_ string, err error) {
		if err != nil {
			failures = append(failures, cause(err))
		} else {
			answered++
		}
		if answered+len(failures) == jobs {
			p.shutdown() // and then Run returns
		}
	}
	for i := range jobs {
		j := job{fmt.Sprint("text ", i), time.Minute, done}
		switch i {
		case jobs / 10:
			j.text = "crash"
		case jobs / 2:
			j.text, j.patience = "hang", 100*time.Millisecond
		}
		p.call(j)
	}
	err = loop.Run(context.Background())
	slices.Sort(failures)
	results := append(failures, fmt.Sprint(answered, " calls were answered"))
	_, printErr := fmt.Println(strings.Join(results, "\n"))
	return errors.Join(err, printErr)
}

// cause is the part of an error that is the same each time.
func cause(err error) string {
	if exit, ok := errors.AsType[*child.ExitError](err); ok {
		return fmt.Sprint("a worker ", exit.State)
	}
	return err.Error()
}

// serve is the child.
func serve(w *child.Worker) error {
	mux := rpc.NewMux()
	work.Handle(mux, func(_ context.Context, text string) (string, error) {
		switch text {
		case "crash":
			os.Exit(3)
		case "hang":
			time.Sleep(time.Hour)
		}
		return text + ", done", nil
	})
	return rpc.ServeSync(w, mux.Sync())
}
