package poller_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller"
)

// more are the constructors of this platform besides its best and poll.
func more() []constructor {
	all := []constructor{
		{"epoll without pwait2", poller.OpenMillis},
		{"epoll that keeps the processor", poller.OpenKeeping},
		{pollOfDarwin, func() (poller.Poller, error) { return poller.OpenPollOf(kqsim.Poll, kqsim.HalfClosed) }},
		{"kqueue", simulated(kqsim.Quirks{})},
	}
	presets := kqsim.Presets()
	for _, name := range slices.Sorted(maps.Keys(presets)) {
		all = append(all, constructor{"kqueue of " + name, simulated(presets[name])})
	}
	return all
}

func simulated(quirks kqsim.Quirks) func() (poller.Poller, error) {
	return func() (poller.Poller, error) {
		q, err := kqsim.New(quirks)
		if err != nil {
			return nil, err
		}
		return poller.NewKqueue(q)
	}
}

// TestSimulatingTwicePanics: TestMain has called it already.
func TestSimulatingTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	kqsim.Install()
}
