package rpc_test

import (
	"context"
	"slices"
	"syscall"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// The id of a streamed call may be used again once it has been answered and its parts have ended, in either order.
func TestServersForgetStreamedCallsThatAreOver(t *testing.T) {
	call, end, reply := windowCall(1, 100, true, request("echo", "yes")), frame(endKind|1, ""), frame(1, "\x03yes")
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			newFixture(t)
			ours, theirs := socketpair(t)
			file := fileOf(ours)
			defer file.Close()
			served := make(chan error, 1)
			go func() { served <- peer{server: server}.serve(sameFD(theirs)) }()
			readBytes(file, len(ourHello))
			for _, say := range []string{clientHello + call, end + call + end, call, end + call + end} {
				_, err := file.WriteString(say)
				must(t, err)
				if got := readBytes(file, len(reply)); got != reply {
					t.Fatalf("the server says %q", got)
				}
			}
			must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
			must(t, <-served)
			if server != "async" {
				must(t, syscall.Close(theirs))
			}
			if rest := readToEnd(file); rest != "" {
				t.Errorf("the server goes on with %q", rest)
			}
		})
	}
}

// What is kept of a streamed call until its parts end is not lost to a plain call with the same id.
func TestPlainCallForgetsNoStreamedOne(t *testing.T) {
	f := newFixture(t)
	in := strangersHello + windowCall(1, 100, true, nil) + frame(1, "") + frame(endKind|1, "") + frame(2, "")
	calls := 0
	serveAsyncRaw(f, rpc.ServerConfig{}, in, func(_ rpc.Payload, done rpc.Done) {
		if calls++; calls == 2 {
			done.OnParts(nil, nil)
		}
		must(t, done.Reply())
	})
	if calls != 3 {
		t.Errorf("%d calls have come", calls)
	}
}

// The cancel of a call that has been answered takes nothing from that of the next call with the same id: it is not begun.
func TestCancelOfTheCallBeforeIsNotTheNextCalls(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	var begun []string
	served := make(chan error, 1)
	go func() {
		served <- rpc.ServeSync(sameFD(theirs), func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
			begun = append(begun, string(request))
			return nil, nil
		})
	}()
	readBytes(file, len(ourHello))
	_, err := file.WriteString(clientHello + frame(1, "first"))
	must(t, err)
	readBytes(file, len(frame(1, "")))
	cancel := frame(cancelKind|1, "")
	_, err = file.WriteString(cancel + frame(1, "second") + cancel + frame(2, "third")) // in one read
	must(t, err)
	must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	must(t, <-served)
	must(t, syscall.Close(theirs))
	if !slices.Equal(begun, []string{"first", "third"}) {
		t.Errorf("these were begun: %q", begun)
	}
}
