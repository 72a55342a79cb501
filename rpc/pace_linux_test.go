package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// fds are a server's descriptors.
type fds struct{ read, write int }

func (f fds) FDs() (readFD, writeFD int) { return f.read, f.write }

// TestSyncServerBatchesOnceHandlersAreCheapAmidABatch: a server begins by writing each reply at once,
// and decides anew with each of them. It once kept to that until its input was empty, which it never is with
// a parent that is fast enough. One packet of the socket is one write.
func TestSyncServerBatchesOnceHandlersAreCheapAmidABatch(t *testing.T) {
	const calls = 4000
	var in [2]int
	must(t, unix.Pipe2(in[:], unix.O_CLOEXEC))
	defer unix.Close(in[0])
	out, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	input := hello + strings.Repeat(frame(1, "x"), calls) // in one read
	n, err := unix.Write(in[1], []byte(input))
	must(t, err)
	must(t, unix.Close(in[1]))
	if n != len(input) {
		t.Fatalf("the pipe took %d of %d bytes", n, len(input))
	}
	writes := make(chan int)
	go func() { writes <- countPackets(out[0]) }()
	must(t, rpc.ServeSync(fds{in[0], out[1]}, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil }))
	must(t, unix.Close(out[1]))
	// The mean falls by an eighth with each call, so after some dozens in any case.
	if got := <-writes; got > calls/2 {
		t.Errorf("%d replies in %d writes", calls, got)
	}
	must(t, unix.Close(out[0]))
}

// countPackets reads to the end.
func countPackets(fd int) (packets int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case n <= 0:
			return packets
		default:
			packets++
		}
	}
}
