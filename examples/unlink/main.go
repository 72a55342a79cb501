// Unlink is the first example of AnyEvent::Fork::RPC: a child process removes
// files and folders, and sends an event with every third request. That a path
// cannot be removed is no failure of the call: the reply says it. With -async the
// child serves on a loop; what is printed is the same.
package main

import (
	"cmp"
	"context"
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

func main() {
	child.Main(child.Workers{"sync": serve, "async": serve})
	async := flag.Bool("async", false, "serve on a loop")
	flag.Parse()
	worker := map[bool]string{false: "sync", true: "async"}[*async]
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGPIPE) // neither Ctrl-C nor "| head" must leave dir behind
	dir, err := os.MkdirTemp("", "unlink")
	if err == nil {
		err = errors.Join(parent(ctx, worker, dir), os.RemoveAll(dir))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// parent makes four entries in dir and asks for six to be removed.
func parent(ctx context.Context, worker, dir string) error {
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
	proc, err := child.Start(loop, child.Config{Worker: worker})
	if err != nil {
		return err
	}
	var failed error // of the child, or of printing; the first
	client, err := rpc.NewClient(proc, rpc.Config{
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

// serve is the child, with the server that its name asks for.
func serve(w *child.Worker) error {
	server, err := rpc.NewServer(w, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	functions := map[string]func(path string) error{"rmdir": syscall.Rmdir, "unlink": syscall.Unlink}
	handled := 0
	handle := func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		if handled++; handled%3 == 0 {
			server.Event(fmt.Sprintf("%d requests handled", handled))
		}
		args, err := request.Strings()
		if err != nil {
			return nil, err
		}
		outcome := "removed"
		if err := functions[args[0]](args[1]); err != nil {
			outcome = err.Error()
		}
		return rpc.Strings(outcome), nil
	}
	if w.Name() == "sync" {
		return server.ServeSync(handle)
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	return server.ServeAsync(loop, func(request rpc.Payload, done rpc.Done) {
		if reply, err := handle(context.Background(), request); err != nil {
			done.Fail(err)
		} else {
			done.ReplyBytes(reply)
		}
	})
}
