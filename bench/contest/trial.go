package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"
)

// stall is Trial.Stall, outside of the driver's own tests.
const stall = 5 * time.Second

// A Trial is one run of one scenario by one contestant.
type Trial struct {
	Contestant string
	Seed       uint64
	Rand       *rand.Rand
	Short      bool // sizes for CI, in which the kernel's buffers may hold everything
	// Stall is how long nothing has to happen until nothing more will: a hundred
	// times what any of these servers takes on a loaded machine. See patience.go.
	Stall time.Duration

	dir       string // for unix sockets
	sockets   int    // of them so far
	processes []*Process
	clients   []net.Conn
}

func newTrial(contestant string, seed uint64, short bool) (*Trial, error) {
	dir, err := os.MkdirTemp("", "contest")
	return &Trial{
		Contestant: contestant, Seed: seed, Short: short, Stall: stall, dir: dir,
		Rand: rand.New(rand.NewPCG(seed, 0)),
	}, err
}

// end closes what the trial has opened.
func (t *Trial) end() error {
	for _, c := range t.clients {
		c.Close()
	}
	for _, p := range t.processes {
		p.end()
	}
	return os.RemoveAll(t.dir)
}

// size is a number of bytes, or of connections, cut down for -short.
func (t *Trial) size(full, short int) int {
	if t.Short {
		return short
	}
	return full
}

// period is a time to wait, or to measure for, cut down for -short.
func (t *Trial) period(full time.Duration) time.Duration {
	if t.Short {
		return full / 5
	}
	return full
}

// start runs a server. A TCP port that somebody took meanwhile is tried again.
func (t *Trial) start(o Order) (*Process, error) {
	o.Contestant, o.Seed, o.Settle = t.Contestant, t.Seed, t.settle()
	for attempt := 0; ; attempt++ {
		var err error
		if o.Address, err = t.freeAddress(o.Network); err != nil {
			return nil, err
		}
		p, err := startProcess(o)
		if err == nil {
			t.processes = append(t.processes, p)
			return p, nil
		}
		if !errors.Is(err, errNotServing) || attempt == 3 {
			return nil, err
		}
	}
}

func (t *Trial) settle() time.Duration { return t.Stall / 5 }

func (t *Trial) freeAddress(network string) (string, error) {
	if network == "unix" {
		t.sockets++
		return filepath.Join(t.dir, fmt.Sprintf("s%d", t.sockets)), nil
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// fork gives a goroutine of the client's its own random numbers.
func (t *Trial) fork() *rand.Rand { return rand.New(rand.NewPCG(t.Seed, t.Rand.Uint64())) }
