// Fanout gives jobs from a sequence to several child processes and collects
// what they say, with a progress line on stderr. Ctrl-C finishes what was begun,
// a second one ends the program at once. With -die a worker dies midway: what it
// had certainly not started goes to others by itself, and what it may have started
// is reported, and done again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"iter"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/stringcodec"
)

// checksum is what the workers do with a text.
var checksum = rpc.NewMethod[string, string]("checksum", stringcodec.Codec{})

const poison = "poison"

func main() {
	child.Main(child.Workers{"checksum": serve})
	jobs, workers := flag.Int("jobs", 10_000, "how many"), flag.Int("workers", 2, "how many")
	die := flag.Bool("die", false, "let one of the jobs kill its worker")
	flag.Parse()
	if err := run(*jobs, *workers, *die); err != nil {
		log.Fatal(err)
	}
}

func run(jobs, workers int, die bool) error {
	interrupted, restore := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(interrupted, restore) // the second Ctrl-C is the default one
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	clients := make([]*rpc.Client, max(workers, 0))
	for i := range clients {
		proc, err := child.Start(loop, child.Config{Worker: "checksum"})
		if err == nil {
			clients[i], err = rpc.NewClient(proc, rpc.Config{})
		}
		if err != nil {
			return err
		}
	}
	t := &total{jobs: jobs}
	lost, err := t.add(clients, texts(interrupted, jobs, die))
	for len(lost) > 0 && err == nil { // no harm is done by doing these twice
		lost, err = t.add(clients, slices.Values(lost))
	}
	if err == nil && interrupted.Err() == nil {
		_, err = fmt.Printf("%d checksums, their sum is %x\n", t.done, t.sum)
	}
	return errors.Join(err, loop.Shutdown(context.Background()))
}

// total is what has been done so far.
type total struct {
	jobs, done int
	sum        uint64
}

// add has jobs done and adds up what comes, in whatever order it does.
func (t *total) add(clients []*rpc.Client, jobs iter.Seq[string]) (lost []string, err error) {
	const window = 128 // calls in flight to each: the jobs are short
	fan := checksum.FanOut(context.Background(), clients, jobs, rpc.FanOutConfig{RunLoop: true, Window: window})
	for r := range fan.Results() {
		var gone *rpc.LostError
		switch n, err := strconv.ParseUint(r.Resp, 16, 32); {
		case errors.As(r.Err, &gone) && r.Req != poison:
			lost = append(lost, r.Req)
		case gone == nil && (r.Err != nil || err != nil):
			return nil, errors.Join(r.Err, err)
		case gone == nil:
			t.sum += n
			if t.done++; t.done%1000 == 0 {
				fmt.Fprintf(os.Stderr, "\r%d of %d ", t.done, t.jobs)
			}
		}
	}
	fmt.Fprintf(os.Stderr, "\r%d of %d, %d lost\n", t.done, t.jobs, len(lost))
	return lost, fan.Err()
}

// texts are the jobs, until ctx is done.
func texts(ctx context.Context, n int, die bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if ctx.Err() != nil || die && i == n/2 && !yield(poison) || !yield(fmt.Sprint("text ", i)) {
				return
			}
		}
	}
}

// serve is the child.
func serve(w *child.Worker) error {
	mux := rpc.NewMux()
	checksum.Handle(mux, func(_ context.Context, text string) (string, error) {
		if text == poison {
			os.Exit(3)
		}
		return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))), nil
	})
	return rpc.ServeSync(w, mux.Sync())
}
