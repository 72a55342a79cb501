package main

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
)

// Descriptors are limited, and children must not inherit them.

func limitScenarios() []Scenario {
	return []Scenario{
		{ID: "inherit", Title: "what a child started by the server inherits, 100 connections open", Run: inherited},
		{ID: "no-files", Title: "200 connections at a limit of 64 descriptors, then all go: survives, idles, recovers", Run: outOfDescriptors},
	}
}

func inherited(t *Trial) (Verdict, error) {
	p, err := t.start(Order{Role: roleEcho, Network: "tcp"})
	if err != nil {
		return Verdict{}, err
	}
	for range t.size(100, 10) {
		c, err := t.dial(p, 0)
		if err != nil {
			return Verdict{}, err
		}
		if verdict := t.roundTrip(c); verdict.Kind != fine {
			return verdict, nil
		}
	}
	m, err := p.ask(Command{Do: doExec})
	if err != nil {
		return Verdict{}, err
	}
	if len(*m.Inherited) == 0 {
		return good(""), nil
	}
	return bad(leaks, "inherits %d descriptors: %s", len(*m.Inherited), kinds(*m.Inherited)), nil
}

// kinds counts targets of /proc/PID/fd: "100 socket, 1 anon_inode:[eventpoll]".
func kinds(targets []string) string {
	counts := map[string]int{}
	for _, target := range targets {
		kind, _, numbered := strings.Cut(target, ":[")
		if numbered && strings.HasPrefix(target, "anon_inode") {
			kind = strings.Trim(target[len("anon_inode:"):], "[]")
		}
		counts[kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	return strings.Join(parts, ", ")
}

// roundTrip sends a byte to an echo server and waits for it.
func (t *Trial) roundTrip(c net.Conn) Verdict {
	_, err := t.writeAll(c, []byte{'x'})
	if err == nil {
		_, err = t.readSome(c, make([]byte, 1))
	}
	if err != nil {
		return badIO("echo of one byte", err)
	}
	return good("")
}

const (
	fileLimit      = 64
	limitedClients = 200
)

func outOfDescriptors(t *Trial) (Verdict, error) {
	p, err := t.start(Order{Role: roleEcho, Network: "tcp", Files: fileLimit})
	if err != nil {
		return Verdict{}, err
	}
	var clients []net.Conn
	for range limitedClients {
		c, err := t.dial(p, 0)
		if err != nil {
			break // the server is gone, or its backlog is short: see below
		}
		clients = append(clients, c)
	}
	usage, err := t.usage(p, t.period(2*time.Second))
	if err != nil {
		return Verdict{}, err
	}
	for _, c := range clients {
		c.Close()
	}
	recovered := t.recovers(p)
	switch {
	case recovered.Kind != fine:
		return bad(hangs, "hangs: serves nobody after the descriptors are free; %s meanwhile", usage), nil
	case usage.busy():
		return bad(spins, "spins: %s, recovers", usage), nil
	}
	return good("%s, recovers", usage), nil
}

// recovers tries new connections until one is served: those before it may still
// be shed. A server's back-off may be a second, and there are dead connections
// to accept first.
func (t *Trial) recovers(p *Process) Verdict {
	verdict := bad(hangs, "hangs")
	for waited := time.Duration(0); waited < 3*t.Stall && verdict.Kind != fine; {
		if gone, is := p.gone(0); is {
			return gone
		}
		began := time.Now()
		if c, err := t.dial(p, 0); err != nil {
			time.Sleep(100 * time.Millisecond)
		} else {
			verdict = t.roundTrip(c)
		}
		waited += min(time.Since(began), t.Stall) // somebody was held up, if it was longer
	}
	return verdict
}
