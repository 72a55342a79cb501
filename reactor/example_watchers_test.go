package reactor_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// At waits for a point of the wall clock, and follows the clock when it is set.
func ExampleLoop_At() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	at := time.Now().Add(10 * time.Millisecond)
	loop.At(at, func() { fmt.Println("early:", time.Now().Before(at)) })

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: early: false
}

// A schedule like cron's is a function that names the next time.
func ExampleLoop_Periodic() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	weekdaysAtSix := func(now time.Time) time.Time {
		at := time.Date(now.Year(), now.Month(), now.Day(), 6, 0, 0, 0, now.Location())
		for !at.After(now) || at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			at = at.AddDate(0, 0, 1)
		}
		return at
	}
	backup := loop.Periodic(weekdaysAtSix, func() { fmt.Println("making a backup") })

	fmt.Println(backup.Next().Format("15:04"), backup.Remaining() <= 4*24*time.Hour)
	backup.Feed() // do not wait for it here
	loop.Poll(0)
	// Output:
	// 06:00 true
	// making a backup
}

// EveryWall keeps to the clock on the wall: here to full hours.
func ExampleLoop_EveryWall() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	hourly, err := loop.EveryWall(0, time.Hour, func() { fmt.Println("cuckoo") })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hourly.Next().UTC().Format("04:05"))
	// Output: 00:00
}

// A signal is reported on the loop, where it may do anything.
func ExampleLoop_WatchSignal() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	var hup *reactor.SignalWatcher
	hup, err = loop.WatchSignal(syscall.SIGHUP, func() {
		fmt.Println("reading the configuration again")
		hup.Stop() // so that nothing is left
	})
	if err != nil {
		log.Fatal(err)
	}
	loop.AfterFunc(0, func() { unix.Kill(unix.Getpid(), syscall.SIGHUP) })

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: reading the configuration again
}

// Once is called with the first of two: readiness or timeout.
func ExampleLoop_Once() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	r, w, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	_, err = loop.Once(int(r.Fd()), reactor.Read, time.Millisecond, func(ready reactor.Ready) {
		if ready == 0 {
			fmt.Println("nothing came in time")
		}
	})
	if err != nil {
		log.Fatal(err)
	}

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: nothing came in time
}

// However often goroutines send, the loop is woken once, and looks at what they
// have left for it.
func ExampleAsync() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	var mu sync.Mutex
	var results []int
	done := 0
	var arrived *reactor.Async
	arrived = loop.NewAsync(func() {
		mu.Lock()
		defer mu.Unlock()
		done += len(results)
		results = results[:0]
		if done == 100 {
			arrived.Stop() // so that nothing is left
		}
	})
	for i := range 100 {
		go func() {
			mu.Lock()
			results = append(results, i)
			mu.Unlock()
			arrived.Send()
		}()
	}

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(done)
	// Output: 100
}

// A path is watched whether it exists or not.
func ExampleLoop_WatchPath() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "config")

	var watcher *reactor.PathWatcher
	watcher, err = loop.WatchPath(path, 0, func(prev, cur reactor.PathInfo) {
		fmt.Printf("exists: %v, then %v\n", prev.Exists(), cur.Exists())
		watcher.Stop() // so that nothing is left
	})
	if err != nil {
		log.Fatal(err)
	}
	loop.AfterFunc(0, func() { os.WriteFile(path, nil, 0o600) })

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: exists: false, then true
}

// What belongs to the loop's users can end with it.
func ExampleLoop_OnCleanup() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	loop.OnCleanup(func() { fmt.Println("last") })
	loop.OnCleanup(func() { fmt.Println("first") })
	loop.Close()
	// Output:
	// first
	// last
}

// The exit of a process is reported, and its status left to whoever started it.
func ExampleLoop_WatchProcess() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	cmd := exec.Command("sh", "-c", "exit 3")
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	_, err = loop.WatchProcess(cmd.Process.Pid, func() {
		fmt.Println(cmd.Wait()) // does not wait: it has exited
	})
	if err != nil {
		log.Fatal(err)
	}

	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: exit status 3
}
