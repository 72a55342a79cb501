package main

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// What one watcher, one timer or one stream costs. Descriptors are opened before
// the first look, since every contestant needs them.

func addEvforkObjects(r *Registry) {
	enter := func(id, name string, count int, prepare func() (int, error), open func() (func(int, int) error, error)) {
		r.Enter(id, Contestant{Name: name, Calls: count, GoParent: true, Available: canReadMemory, Run: func(s Sample) (Result, error) {
			return memoryPerObject(s.Calls, prepare, open)
		}})
	}
	enter("M-watcher", nameEvfork, memoryWatchers, openDuplicates(), evforkMaker(watchOne))
	enter("M-timer", nameEvfork, memoryTimers, openNothing, evforkMaker(startOne))
	enter("M-timer", nameAfterFunc, memoryTimers, openNothing, runtimeTimerMaker)
	enter("M-stream", nameEvfork, memoryStreams, openStreamEnd, evforkMaker(streamOne))
	enter("M-stream", "goroutine with a 4 KiB buffer", memoryStreams, openStreamEnd, goroutineMaker)
}

// memoryPerObject makes that many. The collector must not take the descriptors before the second look: their
// slice would then be subtracted from what the objects hold.
func memoryPerObject(count int, prepare func() (int, error), open func() (func(i, fd int) error, error)) (Result, error) {
	fds := make([]int, count)
	var err error
	for i := range fds {
		if fds[i], err = prepare(); err != nil {
			return Result{}, err
		}
	}
	makeOne, err := open()
	if err != nil {
		return Result{}, err
	}
	before, err := ownMemory()
	if err != nil {
		return Result{}, err
	}
	for i, fd := range fds {
		if err := makeOne(i, fd); err != nil {
			return Result{}, err
		}
	}
	after, err := ownMemory()
	runtime.KeepAlive(makeOne)
	runtime.KeepAlive(fds)
	return Result{
		Value: (after.heap - before.heap) / float64(count),
		Extra: map[string]float64{
			"resident B": (after.resident - before.resident) / float64(count),
			"stack B":    (after.stack - before.stack) / float64(count),
		},
	}, err
}

// memoryUse is in bytes.
type memoryUse struct{ heap, stack, resident float64 }

// ownMemory collects garbage first, twice: what has a finalizer needs both.
func ownMemory() (memoryUse, error) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	resident, err := residentMemory(os.Getpid())
	return memoryUse{float64(m.HeapAlloc), float64(m.StackInuse), resident.Value * 1024}, err
}

func openNothing() (int, error) { return -1, nil }

// openDuplicates gives one descriptor after another of a socket that stays quiet.
func openDuplicates() func() (int, error) {
	first := -1
	return func() (int, error) {
		if first < 0 {
			pair, err := openPair()
			if err != nil {
				return -1, err
			}
			first = pair.read
		}
		return unix.FcntlInt(uintptr(first), unix.F_DUPFD_CLOEXEC, 0)
	}
}

func openStreamEnd() (int, error) {
	pair, err := openPair()
	return pair.read, err
}

func evforkMaker(one func(l *reactor.Loop, fd int) error) func() (func(int, int) error, error) {
	return func() (func(int, int) error, error) {
		loop, err := reactor.New(reactor.Config{})
		return func(_, fd int) error { return one(loop, fd) }, err
	}
}

func watchOne(l *reactor.Loop, fd int) error {
	_, err := l.WatchFD(fd, reactor.Read, func(reactor.Ready) {})
	return err
}

func startOne(l *reactor.Loop, _ int) error {
	l.AfterFunc(time.Hour, func() {})
	return nil
}

func streamOne(l *reactor.Loop, fd int) error {
	_, err := l.NewStream(fd, fd, reactor.StreamConfig{OnData: func([]byte) {}})
	return err
}

func runtimeTimerMaker() (func(int, int) error, error) {
	return func(int, int) error {
		time.AfterFunc(time.Hour, func() {})
		return nil
	}, nil
}

// goroutineMaker is what Go programs do: a goroutine that waits in Read.
func goroutineMaker() (func(int, int) error, error) {
	return func(_, fd int) error {
		file := os.NewFile(uintptr(fd), "stream")
		go func() {
			buffer := make([]byte, 4<<10)
			for {
				if _, err := file.Read(buffer); err != nil {
					return
				}
			}
		}()
		return nil
	}, nil
}
