// Perl is the first example of AnyEvent::Fork::RPC with its halves in two
// languages: worker.pl, which is core Perl, removes files and folders, and
// this program asks it to. They speak the wire of that module's synchronous
// backend; with -async, of its asynchronous one. GoWorker.pm is for the opposite:
// a Perl program whose worker is written in Go.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

//go:embed worker.pl
var script string

func main() {
	async := flag.Bool("async", false, "speak the wire of the asynchronous backend")
	flag.Parse()
	wire, backend := rpc.AnyEventSync, "sync"
	if *async {
		wire, backend = rpc.AnyEventAsync, "async"
	}
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGPIPE) // neither Ctrl-C nor "| head" must leave dir behind
	dir, err := os.MkdirTemp("", "perl")
	if err == nil {
		err = errors.Join(parent(ctx, wire, backend, dir), os.RemoveAll(dir))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// parent makes four entries in dir and asks for six to be removed.
func parent(ctx context.Context, wire rpc.Wire, backend, dir string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(os.Mkdir(at("empty"), 0o700), os.MkdirAll(at("full/box"), 0o700),
		os.WriteFile(at("file"), nil, 0o600), os.Symlink("nowhere", at("link")))
	if err != nil {
		return err
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{
		Path:      "perl",
		Args:      []string{"-e", script, backend},
		Env:       append(os.Environ(), "LC_ALL=C"), // the system's messages are compared
		Transport: child.Stdio,
	})
	if err != nil {
		return err
	}
	var failed error // of the child, or of printing; the first
	client, err := rpc.NewClient(proc, rpc.Config{
		Wire:    wire,
		OnEvent: func(event rpc.Payload) { failed = cmp.Or(failed, show("", event, nil)) },
		OnError: func(err error) { failed = cmp.Or(failed, err) },
	})
	if err != nil {
		return err
	}
	for _, r := range []struct{ function, name string }{
		{"rmdir", "empty"}, {"rmdir", "full"}, {"rmdir", "nowhere"},
		{"unlink", "file"}, {"unlink", "missing"}, {"unlink", "link"},
	} {
		done := func(reply rpc.Payload, err error) {
			failed = cmp.Or(failed, show(r.function+" "+r.name+": ", reply, err))
		}
		if err := client.Go(done, r.function, at(r.name)); err != nil {
			return err
		}
	}
	client.Shutdown() // no more calls: the child answers these six and exits
	err = loop.Run(ctx)
	return errors.Join(err, failed)
}

// show prints an event, or a reply behind the path it is about.
func show(path string, payload rpc.Payload, err error) error {
	if err != nil {
		log.Print(path, err)
		return nil
	}
	text, _, _ := payload.Next()
	_, err = fmt.Printf("%s%s\n", path, text)
	return err
}
