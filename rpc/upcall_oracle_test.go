package rpc_test

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// oracle answers the calls of children, in the parent.
type oracle struct {
	t       *testing.T
	client  *rpc.Client
	asked   []string // the first values of all calls
	held    []held
	most    int // calls that were held at once
	errs    []error
	onAsked func()
}

// config adds it to a configuration.
func (o *oracle) config(c rpc.Config) rpc.Config {
	c.OnCall = o.answer
	return c
}

func (o *oracle) answer(request rpc.Payload, done rpc.Done) {
	args, err := request.Strings()
	if err != nil || len(args) == 0 {
		done.Fail(fmt.Errorf("unreadable: %q", request))
		return
	}
	o.asked = append(o.asked, args[0])
	switch args[0] {
	case "hold":
		o.held = append(o.held, held{done, args[1:]})
		o.most = max(o.most, len(o.held))
		done.OnCancel(func(err error) { o.errs = append(o.errs, err) })
	case "not found":
		done.Fail(fmt.Errorf("looking in the parent: %w", fs.ErrNotExist))
	case "nothing":
		done.Fail(nil)
	case "huge":
		done.ReplyBytes(make([]byte, 1<<20))
	case "child": // calls it in turn
		err := o.client.Go(func(reply rpc.Payload, err error) {
			if err != nil {
				done.Fail(err)
				return
			}
			done.ReplyBytes(reply)
		}, args[1:]...)
		if err != nil {
			done.Fail(err)
		}
	case "child later":
		done.Reply("first")
		must(o.t, o.client.Go(func(_ rpc.Payload, err error) { o.errs = append(o.errs, err) }, args[1:]...))
	default:
		done.Reply(args...)
	}
	if o.onAsked != nil {
		o.onAsked()
	}
}

// release answers what is held.
func (o *oracle) release() {
	for _, h := range o.held {
		must(o.t, h.done.Reply(h.reply...))
		if err := h.done.Reply(); err != rpc.ErrDone {
			o.t.Errorf("a second answer: %v", err)
		}
	}
	o.held = nil
}

// withOracle connects a peer whose calls are answered.
func (f *fixture) withOracle(p peer, config rpc.Config) (*rpc.Client, *oracle) {
	f.t.Helper()
	o := &oracle{t: f.t}
	o.client = f.connect(p, o.config(config))
	return o.client, o
}
