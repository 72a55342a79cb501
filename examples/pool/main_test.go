package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/reactor"
)

func TestMain(m *testing.M) {
	child.Main(child.Workers{"worker": serve})
	os.Exit(m.Run())
}

// refusing is a poller that is full when the first worker's transport is to be watched.
type refusing struct {
	poller.Poller
	refused bool
}

func (p *refusing) Add(fd int, gen uint32, interest poller.Interest) error {
	if interest&poller.Edge != 0 && !p.refused {
		p.refused = true
		return syscall.ENOSPC
	}
	return p.Poller.Add(fd, gen, interest)
}

// A worker whose transport could not be opened was replaced and not stopped: the program did not end for it.
func TestWorkerThatCannotBeCalledIsStopped(t *testing.T) {
	leaktest.Check(t)
	inner, err := poller.Open("")
	if err != nil {
		t.Fatal(err)
	}
	full := &refusing{Poller: inner}
	loop, err := reactor.New(reactor.Config{Poller: full})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := newPool(loop)
	p.call(job{"text", time.Minute, func(string, error) { p.shutdown() }})
	if err := loop.Run(ctx); err != nil || !full.refused {
		t.Errorf("Run returned %v, a worker was refused: %v", err, full.refused)
	}
}
