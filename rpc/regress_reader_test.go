package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// The reader of ServeGoroutines waited until its answer to the cancel of a call that waited was written, or what others had to write before.
// So a parent that read only when it had written waited for the server, and the server for it.
func TestReaderDoesNotWaitForTheParentToRead(t *testing.T) {
	f := newFixture(t)
	var in, out [2]int
	must(t, unix.Pipe(in[:]))
	must(t, unix.Pipe(out[:]))
	requests, answers := fileOf(in[1]), fileOf(out[0])
	defer answers.Close()
	server, err := rpc.NewServer(twoFDs{in[0], out[1]}, rpc.ServerConfig{})
	must(t, err)
	begun, gate := make(chan struct{}), make(chan struct{})
	f.servers.Go(func() {
		err := server.ServeGoroutines(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
			if len(request) == 0 {
				close(begun)
				<-gate
			}
			return nil, nil
		}, 1)
		if err != nil {
			t.Errorf("the server returned %v", err)
		}
		unix.Close(in[0])
		unix.Close(out[1])
	})
	_, err = requests.WriteString(hello + frame(1, "") + frame(2, "waits"))
	must(t, err)
	<-begun
	filled := fillPipe(t, out[1])
	written := make(chan error, 1)
	go func() {
		_, err := requests.WriteString(frame(cancelKind|2, "") + frame(3, strings.Repeat("x", 1<<18)))
		written <- err
	}()
	select {
	case err := <-written:
		must(t, err)
	case <-time.After(guard):
		t.Error("the server reads nothing though there is room for what it has to write")
	}
	close(gate)
	rest := make(chan string)
	go func() { rest <- readToEnd(answers) }()
	must(t, requests.Close())
	got := strings.TrimPrefix(<-rest, ourHello)[filled:]
	for _, want := range []string{frame(1, ""), frame(3, ""), frame(errorKind|2, string(rpc.Strings(rpc.ErrCanceled.Error(), rpc.KindCanceled, "")))} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among the answers %q", want, got)
		}
	}
	f.servers.Wait()
}

// fillPipe writes to a pipe that nobody else writes to, and whose writer blocks, until it is full.
func fillPipe(t *testing.T, fd int) (n int) {
	t.Helper()
	must(t, unix.SetNonblock(fd, true))
	for _, piece := range [][]byte{make([]byte, 1<<12), {0}} {
		for {
			_, err := unix.Write(fd, piece)
			if err == unix.EAGAIN {
				break
			}
			must(t, err)
			n += len(piece)
		}
	}
	must(t, unix.SetNonblock(fd, false))
	return n
}
