package reactor_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// TestPollRefusesMoreDescriptorsThanTheLimit: poll(2) returns EINVAL if there are more than RLIMIT_NOFILE. It takes them again when that is raised.
func TestPollRefusesMoreDescriptorsThanTheLimit(t *testing.T) {
	loop := newLoopWith(t, reactor.Config{Backend: "poll"})
	const watched = 20
	calls := 0
	for range watched {
		watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { calls++ })
	}
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	low := before
	setLimit(&low.Cur, watched)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	err := loop.Run(context.Background())
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
	wantErr(t, err, unix.EINVAL)
	if want := "reactor: wait: poll of 21 descriptors, which may be more than RLIMIT_NOFILE: invalid argument"; err != nil && err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	pollTimes(t, loop, 1)
	if calls != watched {
		t.Errorf("%d of %d were called", calls, watched)
	}
}
