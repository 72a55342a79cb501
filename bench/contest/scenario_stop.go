package main

import (
	"net"
	"time"
)

// A server must end when it is told to.

func stopScenarios() []Scenario {
	return []Scenario{
		{ID: "stop-callback", Title: "shutdown asked for in a callback, 10 connections open: returns, leaves nothing", Run: stopInCallback},
		{ID: "stop-goroutine", Title: "shutdown asked for on another goroutine, 10 connections open", Run: stopOnGoroutine},
		{ID: "stop-at-once", Title: "shutdown asked for on another goroutine as soon as the server says that it serves", Run: stopAtOnce},
	}
}

const stopClients = 10

func stopInCallback(t *Trial) (Verdict, error) {
	p, conns, verdict, err := t.stoppable()
	if err != nil || verdict.Kind != fine {
		return verdict, err
	}
	if _, err := conns[0].Write([]byte{stopByte}); err != nil {
		return badIO("asking for the shutdown", err), nil
	}
	return t.stops(p), nil
}

func stopOnGoroutine(t *Trial) (Verdict, error) {
	p, _, verdict, err := t.stoppable()
	if err != nil || verdict.Kind != fine {
		return verdict, err
	}
	if err := p.tell(Command{Do: doStop}); err != nil {
		return Verdict{}, err
	}
	return t.stops(p), nil
}

func stopAtOnce(t *Trial) (Verdict, error) {
	p, err := t.start(Order{Role: roleStop, Network: "tcp", AtOnce: true})
	if err != nil {
		return Verdict{}, err
	}
	return t.stops(p), nil
}

func (t *Trial) stoppable() (*Process, []net.Conn, Verdict, error) {
	p, err := t.start(Order{Role: roleStop, Network: "tcp"})
	if err != nil {
		return nil, nil, Verdict{}, err
	}
	var conns []net.Conn
	for range stopClients {
		c, err := t.dial(p, 0)
		if err != nil {
			return nil, nil, Verdict{}, err
		}
		if verdict := t.roundTrip(c); verdict.Kind != fine {
			return p, nil, verdict, nil
		}
		conns = append(conns, c)
	}
	return p, conns, good(""), nil
}

// stops is the verdict about a server that has been told to end.
func (t *Trial) stops(p *Process) Verdict {
	p.mayEnd = true
	patience := 2 * t.Stall
	for waited := time.Duration(0); !p.endsWithin(t.look()); waited += t.look() {
		if waited >= patience {
			return bad(hangs, "hangs: still serving after %v", patience)
		}
		t.awaken()
	}
	select {
	case <-p.ended:
	default:
		return bad(exits, "exits: %s", p.death())
	}
	e := p.ending
	switch {
	case e.Err != "":
		return bad(exits, "returns an error: %s", e.Err)
	case e.Goroutines > 0 || e.Descriptors > 0:
		return bad(leaks, "leaves %d goroutines, %d descriptors", max(e.Goroutines, 0), max(e.Descriptors, 0))
	}
	return good("")
}
