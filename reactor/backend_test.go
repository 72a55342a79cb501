package reactor_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
)

// backends are the names that New knows, on whatever system.
var backends = []string{"epoll", "kqueue", "poll"}

func TestBackendIsTheOneOfTheConfig(t *testing.T) {
	t.Setenv("EVFORK_BACKEND", "not this one")
	opened := 0
	for _, name := range backends {
		loop, err := reactor.New(reactor.Config{Backend: name})
		if err != nil {
			wantErr(t, err, reactor.ErrUnsupported) // of another system
			continue
		}
		opened++
		if got := loop.Backend(); got != name {
			t.Errorf("asked for %s, got %s", name, got)
		}
		shut(t, loop)
	}
	if opened < 2 {
		t.Errorf("only %d of %v are here; poll and another should be", opened, backends)
	}
}

func TestBackendIsTheOneOfTheEnvironmentByDefault(t *testing.T) {
	t.Setenv("EVFORK_BACKEND", "poll")
	if got := newLoop(t).Backend(); got != "poll" {
		t.Errorf("got %s", got)
	}
}

func TestBackendIsTheSystemsBestWithoutAnyWish(t *testing.T) {
	t.Setenv("EVFORK_BACKEND", "") // for the cleanup
	must(t, os.Unsetenv("EVFORK_BACKEND"))
	if got := newLoop(t).Backend(); !slices.Contains(backends[:2], got) {
		t.Errorf("got %s", got)
	}
}

func TestUnknownBackendIsRefusedByName(t *testing.T) {
	leaktest.Check(t)
	for _, ask := range []func() (*reactor.Loop, error){
		func() (*reactor.Loop, error) { return reactor.New(reactor.Config{Backend: "devpoll"}) },
		func() (*reactor.Loop, error) {
			t.Setenv("EVFORK_BACKEND", "devpoll")
			return reactor.New(reactor.Config{})
		},
	} {
		loop, err := ask()
		wantErr(t, err, reactor.ErrUnsupported)
		if loop != nil || !strings.Contains(err.Error(), `"devpoll"`) || !strings.Contains(err.Error(), "epoll, kqueue, poll") {
			t.Errorf("got %v and %v", loop, err)
		}
	}
}

// TestHostIsToldThatPollHasNoDescriptor: nothing is readable while one of many
// descriptors is.
func TestHostIsToldThatPollHasNoDescriptor(t *testing.T) {
	loop := newLoopWith(t, reactor.Config{Backend: "poll"})
	_, err := loop.FD()
	wantErr(t, err, reactor.ErrUnsupported)
}
