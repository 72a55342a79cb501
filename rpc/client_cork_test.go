package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/yield"
	"github.com/evfork/evfork/rpc"
)

func TestHowMuchOfABatchIsHeldBack(t *testing.T) {
	for _, c := range []struct {
		calls int
		mean  uint64
		want  int
	}{
		{0, 0, 0},
		{1, 40, 0},
		{247, 40, 0},
		{248, 40, 24 * 40},
		{400, 40, 100 * 40},
		{1000, 16, 400 * 16},
		{1000, 40, 400 * 40},
		{1000, 41, 16 << 10},
		{300, 900, 16 << 10},
		{1 << 20, 1 << 30, 16 << 10},
	} {
		if got := rpc.CorkFor(c.calls, c.mean); got != c.want {
			t.Errorf("%d calls of %d bytes: %d bytes, want %d", c.calls, c.mean, got, c.want)
		}
	}
}

// Of the requests that are made because replies have come a part leaves before all of these have been acted on.
func TestRequestsLeaveInPartsOfWhatIsInFlight(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	_, err := file.WriteString(ourHello)
	must(t, err)
	f.hears(file, len(clientHello))
	const calls, size = 400, 32
	payload := make([]byte, size)
	again := func(rpc.Payload, error) {}
	most, ends := 0, 0
	for range calls {
		must(t, c.GoBytes(func(rpc.Payload, error) {
			ends++
			must(t, c.GoBytes(again, payload))
			most = max(most, rpc.Buffered(c))
		}, payload))
	}
	f.hears(file, calls*(size+8))
	var replies strings.Builder
	for id := range calls {
		replies.WriteString(frame(uint32(id+1), ""))
	}
	_, err = file.WriteString(replies.String())
	must(t, err)
	f.until(func() bool { return ends == calls })
	want := ((calls-200)/2 - 1) * (size + 8)
	if yield.OneCPU {
		want = calls * (size + 8) // nobody could work on a part
	}
	if most != want {
		t.Errorf("up to %d bytes were held back, want %d", most, want)
	}
}

// Parts of streamed calls that are open are no requests: with 250 open, so few bytes were held back that each part was a system call.
func TestPartsAreNotHeldBackLikeRequests(t *testing.T) {
	reads := [][2]int{{250, 250 * 30}, {0, 0}, {0, 700}, {0, 90_000}, {0, 0}, {10, 400}}
	want := []uint64{30, 30, 0, 0, 0, 40}
	if means := rpc.MeanRequests(reads); !slices.Equal(means, want) {
		t.Errorf("%d, want %d", means, want)
	}
}
