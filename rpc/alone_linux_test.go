package rpc_test

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/yield"
	"github.com/evfork/evfork/rpc"
)

// TestWorkersThatAreAloneServe, although they keep their processor while they wait: calls with pauses of the length for which they do, and
// with a longer one. They end when their input does.
func TestWorkersThatAreAloneServe(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			config := child.Config{Worker: "alone", Args: []string{server}, Env: append(os.Environ(), "GOMAXPROCS=1", oneCPUEnv+"=1")}
			unhurried(&config)
			proc, err := child.Start(f.Loop, config)
			must(t, err)
			var end error
			ended := false
			c := f.client(proc, peer{}, rpc.Config{OnError: func(err error) { end = err }, OnDestroy: func() { ended = true }})
			for _, pause := range slices.Concat(slices.Repeat([]time.Duration{300 * time.Microsecond}, 100), []time.Duration{3 * yield.Slice, 0}) {
				reply, err := f.ask(c)
				must(t, err)
				if server != "goroutines" && !slices.Equal(reply, []string{"1"}) {
					t.Fatalf("the worker has %q goroutines, want only its own", reply)
				}
				over := false
				f.AfterFunc(pause, func() { over = true })
				f.until(func() bool { return over })
			}
			c.Shutdown()
			f.until(func() bool { return ended })
			must(t, end)
		})
	}
}

// TestTimersOfAWorkerThatIsAloneExpire: ServeSync kept its processor from one wait to the next, and let nobody run in between. They waited for the
// runtime's monitor: for 10 to 20 ms.
func TestTimersOfAWorkerThatIsAloneExpire(t *testing.T) {
	f := newFixture(t)
	config := child.Config{Worker: "alone", Args: []string{"timers"}, Env: append(os.Environ(), "GOMAXPROCS=1")}
	unhurried(&config)
	proc, err := child.Start(f.Loop, config)
	must(t, err)
	c := f.client(proc, peer{}, rpc.Config{})
	const calls = 200
	before, fresh := 0, 0
	for range calls {
		reply, err := f.ask(c)
		must(t, err)
		expired, err := strconv.Atoi(reply[0])
		must(t, err)
		if expired > before {
			fresh++
		}
		before = expired
		over := false
		f.AfterFunc(300*time.Microsecond, func() { over = true })
		f.until(func() bool { return over })
	}
	if fresh < calls/6 {
		t.Errorf("behind %d of %d calls a timer had expired", fresh, calls)
	}
	c.Shutdown()
}

const oneCPUEnv = "EVFORK_ONE_CPU"

// A worker with that environment has one CPU: it begins anew, because the runtime counts them first of all.
func init() {
	if os.Getenv(oneCPUEnv) == "" {
		return
	}
	if err := beginOnOneCPU(); err != nil {
		panic(err)
	}
}

func beginOnOneCPU() error {
	runtime.LockOSThread() // it is this thread that remains
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	if err := os.Unsetenv(oneCPUEnv); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}
