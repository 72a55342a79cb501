package rpc_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// A write to the child that failed here, for want of memory, say, was not told: calls were lost to a child that had exited with code 0,
// as one does that sees an EOF.
func TestWriteThatHasFailedHereIsTheCause(t *testing.T) {
	f := newFixture(t)
	var w watched
	c := f.connect(pipes("sync"), w.config(rpc.Config{}))
	f.works(c)
	dir, err := unix.Open(".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(dir)
	must(t, unix.Dup2(dir, rpc.WriteFD(c))) // cannot be written: EBADF
	lost := f.begin(c, "echo", "a")
	f.until(w.ended)
	for _, err := range []error{lost.err, w.err} {
		if !errors.Is(err, unix.EBADF) {
			t.Errorf("ended with %v", err)
		}
	}
}

// What had been queued behind an event that another goroutine was writing when the input ended, a reply too, was lost: the server
// returned, upon which a worker exits.
func TestServerReturnsWhenAllIsWritten(t *testing.T) {
	for name, serve := range map[string]func(*rpc.Server, rpc.Handler) error{
		"sync":       (*rpc.Server).ServeSync,
		"goroutines": func(s *rpc.Server, h rpc.Handler) error { return s.ServeGoroutines(h, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var in, out [2]int
			must(t, unix.Pipe(in[:]))
			must(t, unix.Pipe(out[:]))
			requests, answers := fileOf(in[1]), fileOf(out[0])
			server, err := rpc.NewServer(twoFDs{in[0], out[1]}, rpc.ServerConfig{})
			must(t, err)
			returned := make(chan struct{})
			f.servers.Go(func() {
				err := serve(server, func(context.Context, rpc.Payload) (rpc.Payload, error) { return nil, nil })
				if left := rpc.Unwritten(server); err != nil || left > 0 {
					t.Errorf("the server returned %v, and %d bytes were not written", err, left)
				}
				close(returned)
			})
			_, err = requests.WriteString(hello + frame(1, ""))
			must(t, err)
			expect(t, answers, ourHello+frame(1, ""))
			f.servers.Go(func() { _ = server.EventBytes(make([]byte, 1<<19)) })
			pollUntil(func() bool { return rpc.IsFull(server, true) }) // it writes
			must(t, server.Event("last"))
			if name == "goroutines" { // ServeSync waits for the event with each batch
				_, err = requests.WriteString(frame(2, ""))
				must(t, err)
			}
			must(t, requests.Close())
			select { // it has its chance
			case <-returned:
			case <-time.After(20 * time.Millisecond):
			}
			read := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, answers)
				read <- err
			}()
			f.servers.Wait()
			unix.Close(in[0])
			unix.Close(out[1])
			must(t, <-read)
			must(t, answers.Close())
		})
	}
}

// While two goroutines sent events without a pause, whoever was writing when the first came wrote theirs and never came back, and
// Flush did not return: under ServeSync, which flushes, no other call was answered.
func TestNobodyWritesForOthersWithoutEnd(t *testing.T) {
	const most = 16 << 20
	for name, act := range map[string]func(f *fixture, s *rpc.Server) error{
		"event": func(_ *fixture, s *rpc.Server) error { return s.EventBytes(make([]byte, 1<<19)) },
		"flush": func(f *fixture, s *rpc.Server) error {
			f.servers.Go(func() { _ = s.EventBytes(make([]byte, 1<<19)) })
			pollUntil(func() bool { return rpc.IsFull(s, true) })
			return s.Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var out [2]int
			must(t, unix.Pipe(out[:]))
			file := fileOf(out[0])
			server, err := rpc.NewServer(twoFDs{-1, out[1]}, rpc.ServerConfig{})
			must(t, err)
			var returned atomic.Bool
			f.servers.Go(func() {
				if err := act(f, server); err != nil {
					t.Error(err)
				}
				returned.Store(true)
			})
			pollUntil(func() bool { return rpc.IsFull(server, true) }) // it is written, or waited for
			for range 2 {
				f.servers.Go(func() {
					for !returned.Load() {
						_ = server.EventBytes(make([]byte, 200_000)) // more than the pipe holds: it is not through before the test has seen another
					}
				})
			}
			read, buf := 0, make([]byte, 1<<16)
			for read < most && !returned.Load() {
				pollUntil(func() bool { return rpc.IsQueued(server) || returned.Load() })
				n, err := file.Read(buf)
				must(t, err)
				read += n
			}
			if !returned.Load() {
				t.Errorf("after %d bytes it has not returned", read)
			}
			returned.Store(true)
			rest := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, file)
				rest <- err
			}()
			f.servers.Wait()
			unix.Close(out[1])
			must(t, <-rest)
			must(t, file.Close())
		})
	}
}
