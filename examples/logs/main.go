// Logs is the fourth example of AnyEvent::Fork::RPC: what a child process logs goes
// through events into its parent's logger. The child sends every record with its
// level and attributes; the parent decides which are worth keeping, and where.
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"slices"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	child.Main(child.Workers{"mailer": mailer})
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	options := slog.HandlerOptions{ReplaceAttr: withoutTime} // every run prints the same
	var out output
	err := parent(slog.New(slog.NewTextHandler(&out, &options)))
	if err := errors.Join(err, out.err); err != nil {
		log.Fatal(err)
	}
}

// output is stdout. A slog.Logger tells nobody that it cannot write.
type output struct{ err error }

func (o *output) Write(p []byte) (n int, err error) {
	n, err = os.Stdout.Write(p)
	o.err = cmp.Or(o.err, err)
	return n, err
}

// parent has three letters delivered.
func parent(logger *slog.Logger) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "mailer"})
	if err != nil {
		return err
	}
	var lost error
	client, err := rpc.NewClient(proc, rpc.Config{
		OnEvent: func(event rpc.Payload) { record(logger.With("child", proc.Name()), event) },
		OnError: func(err error) { lost = err },
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"ann", "bob", "eve"} {
		done := func(_ rpc.Payload, err error) { logger.Info("answered", "to", name, "error", err) }
		if err := client.Go(done, name); err != nil {
			return err
		}
	}
	client.Shutdown() // no more calls: the child answers these three and exits
	err = loop.Run(context.Background())
	return errors.Join(err, lost)
}

// record logs an event of the child: level, message, keys and values.
func record(logger *slog.Logger, event rpc.Payload) {
	values, err := event.Strings()
	if err != nil || len(values) < 2 {
		logger.Error("unreadable event", "event", string(event))
		return
	}
	var level slog.Level
	level.UnmarshalText([]byte(values[0])) // Info if it cannot be read
	var attrs []any
	for _, v := range values[2:] {
		attrs = append(attrs, v)
	}
	logger.Log(context.Background(), level, values[1], attrs...)
}

// forwarder is the child's slog.Handler: every record becomes an event.
type forwarder struct {
	server *rpc.Server
	group  string   // "name." of WithGroup
	attrs  []string // keys and values of WithAttrs
}

func (f forwarder) Enabled(context.Context, slog.Level) bool { return true }
func (f forwarder) WithGroup(name string) slog.Handler       { f.group += name + "."; return f }

func (f forwarder) Handle(_ context.Context, r slog.Record) error {
	all := f.WithAttrs(slices.Collect(r.Attrs)).(forwarder).attrs
	return f.server.Event(append([]string{r.Level.String(), r.Message}, all...)...)
}

func (f forwarder) WithAttrs(attrs []slog.Attr) slog.Handler {
	f.attrs = slices.Clip(f.attrs)
	for _, a := range attrs {
		f.attrs = append(f.attrs, f.group+a.Key, a.Value.Resolve().String())
	}
	return f
}

// mailer is the child. It logs as any program does.
func mailer(w *child.Worker) error {
	server, err := rpc.NewServer(w, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	slog.SetDefault(slog.New(forwarder{server: server}))
	return server.ServeSync(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		name, _, err := request.Next()
		if err != nil {
			return nil, err
		}
		logger := slog.With("to", string(name))
		logger.Debug("looking for the mailbox")
		if string(name) == "eve" {
			return nil, os.ErrNotExist
		}
		logger.Info("delivered")
		logger.Warn("mailbox is nearly full", "letters", 99)
		return nil, nil
	})
}
