package rpctest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// t stands for the test's own.
var t = exampleT{}

// exampleT runs no cleanups: the loop's Close ends what is left.
type exampleT struct{ testing.TB }

func (exampleT) Helper()             {}
func (exampleT) Logf(string, ...any) {}
func (exampleT) Cleanup(func())      {}

// A child without a process: the same client, the same server.
func ExampleStart() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	transport := rpctest.Start(t, loop, func(fds rpc.FDs) error {
		return rpc.ServeSync(fds, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
			words, err := request.Strings()
			return rpc.Strings(strings.ToUpper(strings.Join(words, " "))), err
		})
	})
	client, err := rpc.NewClient(transport, rpc.Config{OnDestroy: func() { fmt.Println("all done") }})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Go(func(reply rpc.Payload, err error) {
		words, _ := reply.Strings()
		fmt.Println(words, err)
	}, "hello", "world")
	client.Shutdown()
	if err := loop.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [HELLO WORLD] <nil>
	// all done
}

// The child dies after it has sent its hello, of 30 bytes, and half of a reply.
func ExampleStartWith() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	config := rpctest.Config{
		Name:     "resize",
		ToParent: rpctest.Faults{List: []rpctest.Fault{{At: 40, Do: rpctest.Kill}}},
	}
	transport := rpctest.StartWith(t, loop, config, serveSync)
	client, err := rpc.NewClient(transport, rpc.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Go(func(_ rpc.Payload, err error) {
		var lost *rpc.LostError
		var exit *child.ExitError
		fmt.Println(errors.As(err, &lost) && lost.Started, errors.As(err, &exit) && exit.State.Signal == 9)
		fmt.Println(exit)
	}, "photo.jpg")
	if err := loop.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// true true
	// child "resize" (pid 0) killed by signal 9 (killed)
}
