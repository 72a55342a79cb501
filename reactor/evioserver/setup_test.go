//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/evioserver"
)

// guard ends a test that hangs, long after it should have ended.
const guard = 2 * time.Minute

func TestMain(m *testing.M) {
	kqsim.Install()
	if name := os.Getenv(subjectVariable); name != "" {
		runSubject(name)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A running server is one whose loop runs on a goroutine until the test ends.
type running struct {
	t      testing.TB
	loop   *reactor.Loop
	server *evioserver.Server
	addrs  []net.Addr
	ended  chan error // what OnClose got
}

// start has handlers called on a loop of their own. The test must leave nothing behind.
func start(t testing.TB, events evio.Events, addrs ...string) *running {
	t.Helper()
	leaktest.Check(t)
	return startWith(t, reactor.Config{}, events, addrs...)
}

func startWith(t testing.TB, config reactor.Config, events evio.Events, addrs ...string) *running {
	t.Helper()
	loop, err := reactor.New(config)
	must(t, err)
	server, err := evioserver.Attach(loop, events, addrs...)
	must(t, err)
	r := &running{t: t, loop: loop, server: server, addrs: server.Addrs(), ended: make(chan error, 1)}
	server.OnClose(func(err error) { r.ended <- err })
	ran := make(chan error, 1)
	go func() {
		err := loop.Run(context.Background())
		ran <- errors.Join(err, loop.Verify(), loop.Close())
	}()
	t.Cleanup(func() {
		// An error means that the loop has ended by itself.
		_ = loop.Post(server.Close)
		must(t, receive(t, ran))
	})
	return r
}

// receive is a receive that does not wait for ever.
func receive[T any](t testing.TB, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(guard):
		t.Fatal("what the test waits for has not happened")
	}
	return v
}

func (r *running) dial(i int) net.Conn { return dial(r.t, r.addrs[i]) }

// dial connects by package net, which serves as the other side.
func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(addr.Network(), addr.String(), guard)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(guard)))
	return c
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	must(t, err)
}

// expect reads exactly a text.
func expect(t testing.TB, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		t.Fatalf("read %q and error %v, want %q", got[:n], err, want)
	}
}

// expectEnd reads exactly a text and then the end.
func expectEnd(t testing.TB, c io.Reader, want string) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != want {
		t.Fatalf("read %q and error %v, want %q and the end", got, err, want)
	}
}

func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	must(t, c.(interface{ CloseWrite() error }).CloseWrite())
}

// socketPath is a short one: an address has room for 104 bytes on macOS.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "evfork")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir + "/s"
}

func echo(_ evio.Conn, in []byte) (out []byte, action evio.Action) { return in, evio.None }

const anyPort = "tcp://127.0.0.1:0"
