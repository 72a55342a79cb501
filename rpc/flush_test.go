package rpc_test

import (
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

func TestFlushOfAServerHasEverythingWritten(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		reply, err := f.ask(c, "flush")
		must(t, err)
		if reply[0] != "<nil>" {
			t.Errorf("Flush returned %s", reply[0])
		}
	})
}

// A blocking server's Flush returns when the pipe has taken all, also what another goroutine is
// writing: all has been read, but for what a pipe holds.
func TestFlushWaitsForTheWriteOfAnother(t *testing.T) {
	newFixture(t)
	reader, writer, err := os.Pipe()
	must(t, err)
	defer reader.Close()
	server, err := rpc.NewServer(writeOnly{writer}, rpc.ServerConfig{Wire: rpc.AnyEventAsync})
	must(t, err)
	const size, pipe = 8 << 20, 1 << 20 // no pipe of ours is that large
	var read atomic.Int64
	ended := make(chan error, 2)
	go func() { ended <- server.EventBytes(make([]byte, size)) }()
	pollUntil(func() bool { return rpc.IsFull(server, true) }) // it writes
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := reader.Read(buf)
			read.Add(int64(n))
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	must(t, server.Flush())
	if n := read.Load(); n < size-pipe {
		t.Errorf("Flush returned when %d of %d bytes had been read", n, size)
	}
	must(t, writer.Close())
	for range 2 {
		if err := <-ended; err != nil && err != io.EOF {
			t.Error(err)
		}
	}
}

// ServeAsync cannot wait for a pipe: its Flush says that it has not taken all.
func TestFlushOfServeAsyncIsFullWhileThePipeIs(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	flushed, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- serveFlushes(sameFD(theirs), func(err error) { flushed <- err })
	}()
	parent := os.NewFile(uintptr(ours), "parent")
	defer parent.Close()
	_, err := parent.WriteString(hello + frame(1, strings.Repeat("x", 4<<20)))
	must(t, err)
	if err := <-flushed; err != rpc.ErrFull {
		t.Errorf("with a full pipe Flush returned %v", err)
	}
	must(t, unix.Shutdown(ours, unix.SHUT_WR))
	all, err := io.ReadAll(parent)
	must(t, err)
	if want := len(ourHello) + 8 + 4<<20 + 8; len(all) != want {
		t.Errorf("%d bytes came, not %d", len(all), want)
	}
	must(t, <-ended)
}

// serveFlushes answers each call with an event that is the request, a Flush, and an empty reply.
func serveFlushes(fds rpc.FDs, flushed func(error)) error {
	server, err := rpc.NewServer(fds, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	return serveOnALoop(server, func(request rpc.Payload, done rpc.Done) {
		if err := server.EventBytes(request); err != nil {
			done.Fail(err)
			return
		}
		flushed(server.Flush())
		done.Reply()
	})
}

// Frames that are queued while another is written lie in pieces, wherever these end.
func TestFramesQueuedBehindAWriteAreWhole(t *testing.T) {
	newFixture(t)
	reader, writer, err := os.Pipe()
	must(t, err)
	defer reader.Close()
	server, err := rpc.NewServer(writeOnly{writer}, rpc.ServerConfig{Wire: rpc.AnyEventAsync, MaxBuffered: 16 << 20})
	must(t, err)
	want := frame(0, strings.Repeat("first", 100_000))
	ended := make(chan error, 1)
	go func() { ended <- server.EventBytes([]byte(strings.Repeat("first", 100_000))) }()
	pollUntil(func() bool { return rpc.IsFull(server, true) }) // it writes
	const header, behind = 8, "behind"
	at := 0
	for left := range header + len(behind) { // bytes of a piece, which the next frame does not fit into
		for _, payload := range []string{strings.Repeat("x", rpc.ChunkSize-at-left-header), behind} {
			must(t, server.EventBytes([]byte(payload)))
			want += frame(0, payload)
		}
		at = header + len(behind)
		if left >= header {
			at -= left
		}
	}
	go func() {
		must(t, <-ended)
		ended <- writer.Close()
	}()
	if got := readToEnd(reader); got != want {
		t.Errorf("%d bytes were written instead of %d, or others", len(got), len(want))
	}
	must(t, <-ended)
}
