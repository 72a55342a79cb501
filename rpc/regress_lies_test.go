package rpc_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// allocated is how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// An error reply cost many times the memory that had been received: for a string of each of its bytes, and
// for the text that said that it could not be read.
func TestErrorReplyCostsNoMoreThanWasReceived(t *testing.T) {
	const size = 4 << 20
	for what, payload := range map[string]rpc.Payload{
		"no list":            bytes.Repeat([]byte{0xff}, size),
		"empty names":        make(rpc.Payload, size),
		"one name, repeated": append(make(rpc.Payload, 3), bytes.Repeat([]byte("\x01x"), size/2)...),
	} {
		sentinels := rpc.Sentinels{"x": errors.New("x")}
		var err *rpc.RemoteError
		n := allocated(func() { err = rpc.DecodeRemoteErrorWith(payload, sentinels) })
		if n > size {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
		if what != "empty names" && errors.Is(err, sentinels["x"]) != (what == "one name, repeated") {
			t.Errorf("%s: the error is %.100v", what, err)
		}
	}
}

// A child that granted much more than it read had Stream.Send keep all that it was given.
func TestSendKeepsNoMoreThanABufferOfAnyCredit(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	list := rpc.AppendStrings(rpc.Payload(helloPayload), "features", "credits metadata cancel", "window", fmt.Sprint(uint64(1)<<62))
	_, err := file.WriteString(frame(helloWord, string(list)))
	must(t, err)
	s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true}, nil)
	f.until(func() bool { return rpc.MaySend(s) })
	part := make([]byte, 64<<10)
	sent := 0 // while the loop does nothing
	for ; sent < 8<<20 && rpc.MaySend(s); sent += len(part) {
		must(t, s.Send(part))
	}
	if most := 1<<20 + len(part); sent > most {
		t.Errorf("%d bytes were kept", sent)
	}
	f.servers.Go(func() { readToEnd(file) })
	f.until(func() bool { return rpc.MaySend(s) })
	must(t, s.Send(part))
	s.Cancel()
	c.Shutdown()
}

// The refusal of a call with a codec of another name cost several times the length of that name.
func TestRefusalOfACodecCostsNoMoreThanWasReceived(t *testing.T) {
	const size = 4 << 20
	mux := rpc.NewMux()
	double.HandleAsync(mux, doubleJob)
	handler := mux.Goroutines()
	call := rpc.AppendByteStrings(nil, []byte("double"), nil, make([]byte, size))
	var err error
	n := allocated(func() { _, err = handler(t.Context(), call) })
	if err == nil || n > size {
		t.Errorf("%d bytes were allocated for the error %.100v", n, err)
	}
}
