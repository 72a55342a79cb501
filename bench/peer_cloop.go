package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os/exec"
)

// The event loops of C, on the workloads of cloop/*.h. Each library is a
// program of its own, built where the library is installed.

//go:embed cloop
var cloopSources embed.FS

const (
	nameLibev    = "libev (C)"
	nameLibevent = "libevent (C)"
	nameLibuv    = "libuv (C)"
)

// A cLibrary is one program of cloop/.
type cLibrary struct {
	contestant string
	program    string
	flags      []string
}

func cLibraries() (epoll, libev, libevent, libuv cLibrary) {
	return cLibrary{"epoll (C)", "epoll", nil},
		cLibrary{nameLibev, "libev", []string{"-lev"}},
		cLibrary{nameLibevent, "libevent", []string{"-levent"}},
		cLibrary{nameLibuv, "libuv", []string{"-luv", "-lm", "-lpthread"}}
}

// addCLoops enters the libraries into the scenarios of the loop.
func addCLoops(r *Registry) {
	epoll, libev, libevent, libuv := cLibraries()
	for _, lib := range []cLibrary{epoll, libev, libevent, libuv} {
		lib.enterRings(r)
	}
	for _, lib := range []cLibrary{libev, libuv} {
		for _, t := range timerScenarios {
			lib.enter(r, t.id, timerCount, func(s Sample) []any { return []any{"timers", t.what, s.Calls} })
		}
		lib.enter(r, "M-timer", memoryTimers, func(s Sample) []any { return []any{"memory", "timers", s.Calls} })
	}
	for _, lib := range []cLibrary{libev, libevent, libuv} {
		lib.enter(r, "M-watcher", memoryWatchers, func(s Sample) []any { return []any{"memory", "watchers", s.Calls} })
	}
	for _, lib := range []cLibrary{libevent, libuv} {
		lib.enter(r, "M-stream", memoryStreams, func(s Sample) []any { return []any{"memory", "streams", s.Calls} })
	}
	libuv.enterPosts(r)
	r.Enter("L4", Contestant{Name: libev.contestant, Calls: idleMilliseconds, Available: libev.available, Run: libev.idle})
}

func (lib cLibrary) enterRings(r *Registry) {
	for _, ring := range ringScenarios {
		lib.enter(r, ring.id, ringEvents, func(s Sample) []any {
			return []any{"ring", ring.size, ring.active, ring.writes, ring.runs(s.Calls)}
		})
	}
}

func (lib cLibrary) enterPosts(r *Registry) {
	for _, p := range postScenarios {
		for _, kind := range []string{"queued", "coalesced"} {
			named := lib
			named.contestant += ", " + kind
			named.enter(r, p.id, p.calls, func(s Sample) []any {
				return []any{"post", p.goroutines, s.Calls, p.word(), kind}
			})
		}
	}
	lib.enter(r, "L3-asleep", wakeUps, func(s Sample) []any { return []any{"post", "sleeping", s.Calls} })
}

func (lib cLibrary) enter(r *Registry, scenario string, calls int, arguments func(Sample) []any) {
	r.Enter(scenario, Contestant{
		Name: lib.contestant, Calls: calls, Available: lib.available,
		Run: func(s Sample) (Result, error) { return lib.run(arguments(s)...) },
	})
}

func (lib cLibrary) build() (string, error) {
	sources, err := fs.Sub(cloopSources, "cloop")
	if err != nil {
		return "", err
	}
	return buildC(lib.program, sources, lib.flags...)
}

func (lib cLibrary) available() error {
	_, err := lib.build()
	return err
}

func (lib cLibrary) command(arguments ...any) (*exec.Cmd, error) {
	program, err := lib.build()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	for _, a := range arguments {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	return cmd, nil
}

// run returns what the program prints.
func (lib cLibrary) run(arguments ...any) (result Result, err error) {
	cmd, err := lib.command(arguments...)
	if err != nil {
		return result, err
	}
	out, err := output(cmd)
	if err != nil {
		return result, err
	}
	return result, json.Unmarshal([]byte(out), &result)
}

func (lib cLibrary) idle(s Sample) (Result, error) {
	cmd, err := lib.command("idle", idleWatchers, idleChildren)
	if err != nil {
		return Result{}, err
	}
	idle, err := startIdle(cmd)
	if err != nil {
		return Result{}, err
	}
	result, err := idle.observe(s.Calls)
	if err != nil {
		return Result{}, err
	}
	_, err = idle.end()
	return result, err
}
