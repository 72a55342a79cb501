package rpctest

import (
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// patience is how long a server function may take to return when the test is over.
const patience = 10 * time.Second

// Start runs serve on a goroutine, as if it were a worker in a process of its own,
// and returns the parent's side, on the loop. The descriptors block. When the test
// ends the child is killed, and the test waits for serve to return.
func Start(t testing.TB, loop *reactor.Loop, serve func(fds rpc.FDs) error) *Transport {
	t.Helper()
	return StartWith(t, loop, Config{}, serve)
}

// StartWith is Start with a connection that goes wrong.
func StartWith(t testing.TB, loop *reactor.Loop, config Config, serve func(fds rpc.FDs) error) *Transport {
	t.Helper()
	tr, fds := connect(t, loop, config)
	go tr.run(serve, fds)
	return tr
}

// Pair returns a Transport and the server's side of it, which the test serves where
// it likes: with rpc.ServeAsync on the same loop everything happens on one goroutine,
// in the same order each time. The child has ended when the server has closed its
// output, as ServeAsync does when it returns.
func Pair(t testing.TB, loop *reactor.Loop, config Config) (*Transport, rpc.FDs) {
	t.Helper()
	tr, fds := connect(t, loop, config)
	tr.alone = true
	close(tr.returned)
	return tr, fds
}

// Wrap puts itself between a client and a transport that exists, a *child.Process for
// one. Kill, and a Fault that kills, sends SIGKILL to a process; the cause of the end is
// the wrapped transport's.
func Wrap(t testing.TB, loop *reactor.Loop, inner rpc.Transport, config Config) *Transport {
	t.Helper()
	tr := newTransport(t, loop, config)
	tr.inner = inner
	close(tr.returned)
	far, err := inner.Open(tr.farConfig())
	if err != nil {
		tr.finish(err)
		t.Fatalf("rpctest: %v", err)
	}
	tr.far = far
	tr.watchFar()
	inner.OnEnd(tr.childGone)
	t.Cleanup(tr.conclude)
	return tr
}

// CheckLeaks fails the test if descriptors, goroutines or child processes are left
// when it ends which were not there now. Call it first; the test must not run in
// parallel with others.
func CheckLeaks(t testing.TB) {
	t.Helper()
	leaktest.Check(t)
}

func connect(t testing.TB, loop *reactor.Loop, config Config) (*Transport, rpc.FDs) {
	t.Helper()
	tr := newTransport(t, loop, config)
	r, farWrite := pipe(t)
	farRead, w := pipe(t)
	tr.ends = []file{fileOf(r), fileOf(w)}
	far, err := loop.NewStream(farRead, farWrite, tr.farConfig())
	tr.must(err)
	tr.far = far
	tr.watchFar()
	t.Cleanup(tr.conclude)
	return tr, fdPair{r, w}
}

// run is the life of the child in this process.
func (tr *Transport) run(serve func(fds rpc.FDs) error, fds rpc.FDs) {
	state := child.ExitState{Known: true, Code: 1, Stderr: []byte("rpctest: the server function left its goroutine")}
	began := time.Now()
	defer func() {
		if r := recover(); r != nil {
			state.Code = 2
			state.Stderr = fmt.Appendf(nil, "panic: %v\n\n%s", r, debug.Stack())
			tr.result = fmt.Errorf("rpctest: the server function panicked: %v", r)
		}
		state.Lifetime = time.Since(began)
		close(tr.returned)
		// A closed loop has ended the transport.
		_ = tr.loop.Post(func() { tr.childGone(tr.exitError(state)) })
	}()
	tr.result = serve(fds)
	state.Code, state.Stderr = 0, nil
	if tr.result != nil {
		state.Code = 1
		state.Stderr = []byte(tr.result.Error())
	}
}

// conclude ends what the test has left.
func (tr *Transport) conclude() {
	_ = tr.loop.Post(func() { // a closed loop has ended it
		tr.hold(false)
		tr.Kill()
	})
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for deadline := time.Now().Add(patience); !tr.over() && time.Now().Before(deadline); {
		if tr.loop.Poll(time.Millisecond) == nil {
			continue
		}
		select { // somebody else runs it
		case <-tr.finished:
		case <-tr.loop.Done():
		case <-timeout.C:
		}
	}
	select {
	case <-tr.returned:
	case <-timeout.C:
		tr.t.Errorf("rpctest: the server function of %q has not returned", tr.config.Name)
		return
	}
	for i := range tr.ends {
		tr.ends[i].close()
	}
}

// over reports whether the transport has ended, or never will, with its loop.
func (tr *Transport) over() bool {
	select {
	case <-tr.finished:
		return true
	case <-tr.loop.Done():
		return true
	default:
		return false
	}
}
