package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// Ends must be noticed: once each, and not before the last byte.

func endScenarios() []Scenario {
	return []Scenario{
		{ID: "end-close", Title: "client sends 0 … 8 MiB and closes: all bytes, one close", Run: endings("tcp", closeAll)},
		{ID: "end-close-unix", Title: "the same over a unix socket", Run: endings("unix", closeAll)},
		{ID: "end-shutdown", Title: "client sends and half-closes, then waits", Run: endings("tcp", halfCloseAndWait)},
		{ID: "end-reset", Title: "client sends, all of it is acknowledged, then resets", Run: endings("tcp", resetWhenAcknowledged)},
		{ID: "reset-storm", Title: "500 connections reset at any moment: one close each", Run: resetStorm},
	}
}

// endingSizes has the edges of the peers' read limits: 64 kB buffers, three
// reads per event.
func endingSizes(short bool) []int64 {
	if short {
		return []int64{0, 1, 192<<10 + 1, 1 << 20}
	}
	return []int64{0, 1, 64 << 10, 192<<10 + 1, 1 << 20, 8 << 20}
}

// endings has the client send and end, once for each size, each on a server of
// its own so that the ledger is about this connection. The worst of them counts.
func endings(network string, end func(*Trial, net.Conn) (Verdict, error)) func(*Trial) (Verdict, error) {
	return func(t *Trial) (Verdict, error) {
		worst := good("")
		for _, size := range endingSizes(t.Short) {
			verdict, err := t.oneEnding(network, size, end)
			if err != nil {
				return worst, err
			}
			worst = worst.worse(verdict)
		}
		return worst, nil
	}
}

func (t *Trial) oneEnding(network string, size int64, end func(*Trial, net.Conn) (Verdict, error)) (Verdict, error) {
	p, err := t.start(Order{Role: roleSink, Network: network, Size: int(size)})
	if err != nil {
		return Verdict{}, err
	}
	c, err := t.dial(p, 0)
	if err != nil {
		return Verdict{}, err
	}
	if err := t.send(c, t.fork(), pattern{t.Seed}, size); err != nil {
		return badIO(fmt.Sprintf("sending %s bytes", group(size)), err), nil
	}
	seen, err := end(t, c)
	if err != nil {
		return Verdict{}, err
	}
	s, err := t.awaitSummary(p, size, func(s Summary) bool { return s.Opened == 1 && s.Closed == 1 })
	if err != nil {
		return Verdict{}, err
	}
	if verdict := s.Stream.worse(closes(s, 1)); verdict.Kind != fine {
		return verdict, nil
	}
	return seen, nil
}

func closeAll(_ *Trial, c net.Conn) (Verdict, error) { return good(""), c.Close() }

// halfCloseAndWait returns when the server has closed too, or will not. What else there is to say of the end is in the ledger,
// which is before the verdict.
func halfCloseAndWait(t *Trial, c net.Conn) (Verdict, error) {
	if err := closeWrite(c); err != nil {
		return Verdict{}, err
	}
	if _, err := t.readSome(c, make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return bad(leaks, "says that the connection is closed, and leaves it open"), nil
	}
	return good(""), nil
}

// resetWhenAcknowledged leaves the server's kernel with every byte: Linux hands
// them out before it reports the reset.
func resetWhenAcknowledged(t *Trial, c net.Conn) (Verdict, error) {
	const look = time.Millisecond
	for waited := time.Duration(0); waited < t.Stall; waited += look {
		n, err := unacknowledged(c)
		if err != nil {
			return Verdict{}, err
		}
		if n == 0 {
			break
		}
		time.Sleep(look)
		t.awaken()
	}
	return good(""), reset(c)
}

// closes is the verdict about a ledger in which every connection is to have
// been closed once. atLeast connections are known to have been opened.
func closes(s Summary, atLeast int) Verdict {
	switch {
	case s.Opened < atLeast:
		return bad(miscounts, "%d of %d connections opened", s.Opened, atLeast)
	case s.Doubled > 0:
		return bad(miscounts, "%d of %d connections closed more than once", s.Doubled, s.Opened)
	case s.Closed < s.Opened:
		return bad(miscounts, "%d of %d connections never closed", s.Opened-s.Closed, s.Opened)
	}
	return good("")
}

const (
	stormers  = 10       // that many clients at once
	stormMost = 16 << 10 // bytes
)

// resetStorm resets connections to an echo server before, while and after bytes
// go back and forth.
func resetStorm(t *Trial) (Verdict, error) {
	p, err := t.start(Order{Role: roleEcho, Network: "tcp"})
	if err != nil {
		return Verdict{}, err
	}
	each := t.size(50, 5)
	var wg sync.WaitGroup
	errs := make(chan error, stormers)
	for range stormers {
		random := t.fork()
		wg.Go(func() {
			for range each {
				if err := stormOnce(p, random); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return badIO("connecting", err), nil
	default:
	}
	s, err := t.awaitSummary(p, 0, func(s Summary) bool { return s.Opened > 0 && s.Closed == s.Opened && s.Opened == stormers*each })
	if err != nil {
		return Verdict{}, err
	}
	verdict := closes(s, 1) // one that was reset before it was accepted may never have been opened
	if verdict.Kind != fine {
		return verdict, nil
	}
	if recovered := t.recovers(p); recovered.Kind != fine {
		return bad(hangs, "hangs: serves nobody after %d closes", s.Closed), nil
	}
	return good("%d closes", s.Closed), nil
}

func stormOnce(p *Process, random *rand.Rand) error {
	c, err := dial(p, 0)
	if err != nil {
		return err
	}
	if random.IntN(4) > 0 {
		// The server may be slow to read or have closed: what becomes of the bytes
		// is no matter here.
		c.SetDeadline(time.Now().Add(50 * time.Millisecond))
		c.Write(make([]byte, 1+random.IntN(stormMost)))
		if random.IntN(2) == 0 {
			c.Read(make([]byte, 1+random.IntN(stormMost)))
		}
	}
	return reset(c)
}
