package main

import (
	"errors"
	"net"
	"os"
	"time"
)

// The driver waits for what may never happen. Only time in which the server and the
// driver run may count: a machine holds processes up, for seconds even, and that is no
// fault of a library's. So the time is divided into looks, after each of which the
// server has to answer; whoever was held up meanwhile has lost one look and no more.

// looks is how many of them Stall has.
const looks = 20

func (t *Trial) look() time.Duration { return t.Stall / looks }

// awaken returns when the trial's servers have answered: they run.
func (t *Trial) awaken() {
	for _, p := range t.processes {
		_, _ = p.ping() // whoever waits for one that has gone notices by itself
	}
}

// patiently repeats an operation on a connection until it has got somewhere or Stall has
// passed, and then returns its timeout.
func (t *Trial) patiently(setDeadline func(time.Time) error, op func() (int, error)) (n int, err error) {
	defer setDeadline(time.Time{})
	for range looks {
		setDeadline(time.Now().Add(t.look()))
		if n, err = op(); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		t.awaken()
	}
	return n, err
}

// readSome is a Read within Stall.
func (t *Trial) readSome(c net.Conn, buf []byte) (int, error) {
	return t.patiently(c.SetReadDeadline, func() (int, error) { return c.Read(buf) })
}

// writeAll is a Write of which something is accepted within Stall, again and again.
func (t *Trial) writeAll(c net.Conn, buf []byte) (n int, err error) {
	for n < len(buf) {
		m, err := t.patiently(c.SetWriteDeadline, func() (int, error) { return c.Write(buf[n:]) })
		n += m
		if err != nil && (m == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, err
		}
	}
	return n, nil
}

// endLook is the time between two questions whether a server has ended.
const endLook = 10 * time.Millisecond

// awaitEnd waits for a server's end, for as long as it may take to follow on what the client has
// seen of it; and if the library's function has returned, for the report of that.
func (p *Process) awaitEnd(grace time.Duration) {
	for range int(grace / endLook) {
		if p.endsWithin(endLook) {
			return
		}
		if alive, err := p.ping(); err != nil || alive.Returned {
			p.endsWithin(answerPatience)
			return
		}
	}
}

// endsWithin reports whether the library's function has returned, and what it left been
// counted, or the process exited.
func (p *Process) endsWithin(d time.Duration) bool {
	select {
	case <-p.ended:
	case <-p.exited:
	case <-time.After(d):
		return false
	}
	return true
}

// ping asks the server whether it runs.
func (p *Process) ping() (Alive, error) {
	m, err := p.ask(Command{Do: doPing})
	if err != nil || m.Alive == nil {
		return Alive{}, err
	}
	return *m.Alive, nil
}
