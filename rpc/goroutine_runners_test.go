package rpc_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// rawGoroutineServer serves in this process; its other side is a file, which has no
// client. The server's end is waited for.
func rawGoroutineServer(t *testing.T, config rpc.ServerConfig, limit int, handler rpc.Handler) *os.File {
	t.Helper()
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	f.servers.Go(func() {
		server, err := rpc.NewServer(sameFD(theirs), config)
		if err == nil {
			err = server.ServeGoroutines(handler, limit)
		}
		if err != nil {
			t.Error(err)
		}
		syscall.Close(theirs)
	})
	t.Cleanup(func() { file.Close() })
	return file
}

// expect reads what must come next.
func expect(t *testing.T, file *os.File, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(file, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got[:n], err, want)
	}
}

// makeCheap makes so many calls that the server takes all for cheap.
func makeCheap(t *testing.T, file *os.File) {
	t.Helper()
	for range 100 {
		_, err := file.WriteString(frame(1, "cheap"))
		must(t, err)
		expect(t, file, frame(1, "cheap"))
	}
}

// A reply that is held back to leave with others leaves when the handler behind it
// turns out to take long, with a limit that keeps other calls from being begun, too.
func TestReplyDoesNotWaitForALongCallBehindIt(t *testing.T) {
	for _, limit := range []int{1, 2, 100} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			release := make(chan struct{})
			file := rawGoroutineServer(t, rpc.ServerConfig{Wire: rpc.AnyEventAsync}, limit, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
				if string(request) == "long" {
					<-release
				}
				return request, nil
			})
			for range 5 {
				makeCheap(t, file)
				_, err := file.WriteString(strings.Repeat(frame(2, "cheap"), 3) + frame(3, "long"))
				must(t, err)
				expect(t, file, strings.Repeat(frame(2, "cheap"), 3))
				release <- struct{}{}
				expect(t, file, frame(3, "long"))
			}
		})
	}
}

// Calls that come together run together, though one goroutine could answer all of them;
// and when they are done their goroutines go.
func TestHandlersMayWaitForEachOther(t *testing.T) {
	const calls = 500
	var entered atomic.Int32
	var meet sync.WaitGroup
	file := rawGoroutineServer(t, rpc.ServerConfig{Wire: rpc.AnyEventAsync}, 0, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		if string(request) == "meet!" {
			entered.Add(1)
			meet.Done()
			meet.Wait()
		}
		return request, nil
	})
	makeCheap(t, file)
	before := runtime.NumGoroutine()
	for range 3 {
		meet.Add(calls)
		_, err := file.WriteString(strings.Repeat(frame(1, "meet!"), calls))
		must(t, err)
		expect(t, file, strings.Repeat(frame(1, "meet!"), calls))
	}
	if n := entered.Load(); n != 3*calls {
		t.Errorf("%d handlers were called", n)
	}
	for runtime.NumGoroutine() > before+rpc.IdleRunners {
		runtime.Gosched()
	}
}

// With FlushEach a reply has been written before its goroutine takes the next call.
func TestGoroutinesFlushEachReply(t *testing.T) {
	const calls = 1000
	fds := make(chan int, 1)
	var received, late int
	file := rawGoroutineServer(t, rpc.ServerConfig{Wire: rpc.AnyEventAsync, FlushEach: true}, 1, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		fd := <-fds
		defer func() { fds <- fd }()
		if received > 0 { // else it is the first call
			buf := make([]byte, len(frame(1, "cheap")))
			if n, _, _ := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); n != len(buf) {
				late++
			}
		}
		received++
		return request, nil
	})
	_, err := file.WriteString(strings.Repeat(frame(1, "cheap"), calls))
	must(t, err)
	fd := int(file.Fd())
	fds <- fd
	for done := false; !done; runtime.Gosched() {
		<-fds
		done = received == calls
		fds <- fd
	}
	expect(t, file, frame(1, "cheap")) // the last one
	if late > 0 {
		t.Errorf("%d of %d replies had not been written when the next handler was called", late, calls)
	}
}

// The reader waits while the backlog is full, and goes on when a call leaves that, not when
// one ends: behind it may be the cancels that the running ones wait for.
func TestReaderGoesOnWhenACallLeavesTheBacklog(t *testing.T) {
	const (
		calls      = 4096 // fill the backlog, and come with one read
		cancelKind = 0x30000000
	)
	file := rawGoroutineServer(t, rpc.ServerConfig{}, 2*calls, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	_, err := file.WriteString(hello)
	must(t, err)
	expect(t, file, ourHello)
	for range 2 {
		var frames, cancels strings.Builder
		for id := range uint32(calls) {
			frames.WriteString(frame(1+id, ""))
			cancels.WriteString(frame(cancelKind|(1+id), ""))
		}
		_, err := file.WriteString(frames.String() + cancels.String())
		must(t, err)
		for range calls {
			var header [8]byte
			_, err := io.ReadFull(file, header[:])
			must(t, err)
			word, size := binary.BigEndian.Uint32(header[:]), binary.BigEndian.Uint32(header[4:])
			if word&^0x0fffffff != errorKind {
				t.Fatalf("the answer is %x", header)
			}
			_, err = io.CopyN(io.Discard, file, int64(size))
			must(t, err)
		}
	}
}
