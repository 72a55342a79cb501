package rpc_test

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// A parent that cannot be understood ends the handlers of ServeGoroutines that run, and none is begun any more.
func TestViolationEndsTheHandlersThatRun(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(hello + frame(1, "") + frame(2, "") + frame(3, ""))
	must(t, err)
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	var begun atomic.Int32
	err = server.ServeGoroutines(func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		begun.Add(1)
		if _, err := file.WriteString(frame(helloWord, "")); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}, 1)
	must(t, syscall.Close(theirs))
	if n := begun.Load(); n != 1 || err == nil || !strings.Contains(err.Error(), "kind 15") {
		t.Errorf("%d handlers were begun; the server returned %v", n, err)
	}
}

// A streamed call that is cancelled while it waits has no parts any more.
func TestStreamThatWaitsForAGoroutineAndIsCancelledIsForgotten(t *testing.T) {
	goOn := make(chan struct{})
	file := rawGoroutineServer(t, rpc.ServerConfig{}, 1, func(context.Context, rpc.Payload) (rpc.Payload, error) {
		<-goOn
		return nil, nil
	})
	_, err := file.WriteString(strangersHello + frame(1, "") + windowCall(2, 100, true, nil) + frame(cancelKind|2, "") + frame(endKind|2, ""))
	must(t, err)
	expect(t, file, ourHello+frame(errorKind|2, string(rpc.EncodeRemoteError(rpc.ErrCanceled, 1000))))
	_, err = file.WriteString(windowCall(2, 100, true, nil) + frame(endKind|2, "")) // the id is free
	must(t, err)
	close(goOn)
	expect(t, file, frame(1, "")+frame(2, ""))
	must(t, syscall.Shutdown(int(file.Fd()), syscall.SHUT_WR))
}
