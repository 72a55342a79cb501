package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// runServer is the hidden role of this program; it reports whether this process
// has it.
func runServer(r *Registry) (handled bool, err error) {
	text, ok := os.LookupEnv(serverVariable)
	if !ok {
		return false, nil
	}
	os.Unsetenv(serverVariable)
	var order Order
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return true, err
	}
	c := r.contestant(order.Contestant)
	if c == nil {
		return true, fmt.Errorf("no contestant %q", order.Contestant)
	}
	if err := keepFromChildren(); err != nil {
		return true, err
	}
	control := os.NewFile(controlFD, "control")
	if order.Files > 0 {
		if err := limitFiles(order.Files); err != nil {
			return true, err
		}
	}
	s := &server{order: order, out: json.NewEncoder(control)}
	return true, s.run(c)
}

// keepFromChildren marks what this process was born with, controlFD and whatever
// the driver's own parent left open: a child that inherits it is not the
// library's doing.
func keepFromChildren() error {
	syscall.CloseOnExec(controlFD)
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no scenario asks for it there
	}
	for _, entry := range entries {
		fd, convErr := strconv.Atoi(entry.Name())
		if convErr == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}

// A server is the process that runs one contestant.
type server struct {
	order  Order
	ledger ledger

	mu       sync.Mutex // of the others
	out      *json.Encoder
	stop     func()
	returned bool
}

// run serves, reports the end and stays until the driver closes the pipe.
func (s *server) run(c *Contestant) error {
	quit := make(chan error, 1)
	go func() { quit <- s.obey(os.Stdin) }()
	before := steadyInventory()
	err := c.Serve(&Binding{Order: s.order, ledger: &s.ledger, serving: s.isServing})
	s.mu.Lock()
	s.returned = true
	s.mu.Unlock()
	ending := before.left(s.order.Settle)
	if err != nil {
		ending.Err = err.Error()
	}
	s.say(Message{Ended: &ending})
	return <-quit
}

func (s *server) isServing(stop func()) {
	s.mu.Lock()
	s.stop = stop
	s.mu.Unlock()
	s.say(Message{Serving: true})
	if s.order.AtOnce {
		go stop()
	}
}

// say cannot do anything about a driver that has gone.
func (s *server) say(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(m)
}

// obey runs the driver's commands until it closes the pipe.
func (s *server) obey(in io.Reader) error {
	decoder := json.NewDecoder(bufio.NewReader(in))
	for {
		var c Command
		err := decoder.Decode(&c)
		if err == io.EOF {
			os.Exit(0) // whatever the library is doing
		}
		if err != nil {
			return err
		}
		s.command(c)
	}
}

func (s *server) command(c Command) {
	switch c.Do {
	case doPing:
		s.mu.Lock()
		alive := Alive{Returned: s.returned}
		s.mu.Unlock()
		s.say(Message{Alive: &alive})
	case doReport:
		summary := s.ledger.summary(c.Total)
		s.say(Message{Summary: &summary})
	case doMemory:
		s.say(Message{Memory: collect()})
	case doStop:
		s.mu.Lock()
		stop := s.stop
		s.mu.Unlock()
		go stop()
	case doExec:
		inherited, err := inheritedByChild()
		if err != nil {
			s.say(Message{Failed: err.Error()})
			return
		}
		s.say(Message{Inherited: &inherited})
	}
}

// collect runs the collector twice, since sync.Pool gives back its contents
// only then.
func collect() *Memory {
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return &Memory{Heap: stats.HeapAlloc}
}

// inheritedByChild starts cat and lists what it holds beyond 0, 1 and 2. When it
// has echoed a byte, the dynamic linker has closed its own.
func inheritedByChild() ([]string, error) {
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer cmd.Wait()
	defer stdin.Close()
	if _, err := stdin.Write([]byte{'x'}); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		return nil, err
	}
	dir := fmt.Sprintf("/proc/%d/fd/", cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	inherited := []string{}
	for _, entry := range entries {
		if slices.Contains([]string{"0", "1", "2"}, entry.Name()) {
			continue
		}
		target, err := os.Readlink(dir + entry.Name())
		if err != nil {
			return nil, err
		}
		inherited = append(inherited, target)
	}
	return inherited, nil
}

// An inventory is what a process holds.
type inventory struct{ goroutines, descriptors int }

func takeInventory() inventory {
	return inventory{runtime.NumGoroutine(), ownDescriptors()}
}

// steadyInventory waits for goroutines of the start to be over.
func steadyInventory() inventory {
	for now := takeInventory(); ; {
		time.Sleep(10 * time.Millisecond)
		last := now
		if now = takeInventory(); now == last {
			return now
		}
	}
}

// left waits for the return to the earlier inventory, and says what is left
// beyond it when it does not come. Only time in which this process runs counts.
func (before inventory) left(patience time.Duration) Ending {
	const look = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += look {
		runtime.GC() // a descriptor may be closed by a finalizer
		now := takeInventory()
		e := Ending{Goroutines: now.goroutines - before.goroutines, Descriptors: now.descriptors - before.descriptors}
		if e.Goroutines <= 0 && e.Descriptors <= 0 || waited >= patience {
			return e
		}
		time.Sleep(look)
	}
}

// ownDescriptors does not count Go's own poller, which may appear at any time.
func ownDescriptors() int {
	const dir = "/proc/self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0 // not Linux, or at the limit
	}
	count := 0
	for _, entry := range entries {
		target, err := os.Readlink(dir + entry.Name())
		if err == nil && !strings.HasPrefix(target, "/proc/") {
			count++
		}
	}
	return count
}
