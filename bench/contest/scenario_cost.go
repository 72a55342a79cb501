package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Nothing to do must cost nothing: processor and memory.

func costScenarios() []Scenario {
	return []Scenario{
		{ID: "idle", Title: "CPU time with 100 idle connections", Run: idle},
		{ID: "idle-half-closed", Title: "CPU time after clients half-closed", Run: halfClosed},
		{ID: "idle-unread", Title: "CPU time while an answer is not read and the client sends more", Run: unread},
		{ID: "never-read", Title: "echo of up to 64 MiB to a client that never reads: what it takes in", Run: neverRead},
		{ID: "after-burst", Title: "1,000 connections echo 256 kB each, then idle: heap that stays", Run: afterBurst},
	}
}

// quietUsage lets what went before die down first.
func (t *Trial) quietUsage(p *Process) (Verdict, error) {
	time.Sleep(t.period(500 * time.Millisecond))
	u, err := t.usage(p, t.period(3*time.Second))
	return u.verdict(), err
}

const idleClients = 100

// echoing starts an echo server with clients that have all been served once.
func (t *Trial) echoing(clients int) (*Process, []net.Conn, Verdict, error) {
	p, err := t.start(Order{Role: roleEcho, Network: "tcp"})
	if err != nil {
		return nil, nil, Verdict{}, err
	}
	var conns []net.Conn
	for range clients {
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

func idle(t *Trial) (Verdict, error) {
	p, _, verdict, err := t.echoing(idleClients)
	if err != nil || verdict.Kind != fine {
		return verdict, err
	}
	return t.quietUsage(p)
}

func halfClosed(t *Trial) (Verdict, error) {
	p, conns, verdict, err := t.echoing(idleClients)
	if err != nil || verdict.Kind != fine {
		return verdict, err
	}
	for _, c := range conns {
		if err := closeWrite(c); err != nil {
			return Verdict{}, err
		}
	}
	return t.quietUsage(p)
}

func unread(t *Trial) (Verdict, error) {
	p, err := t.start(Order{Role: roleVector, Network: "tcp", Size: 32 << 20, Buffers: 1})
	if err != nil {
		return Verdict{}, err
	}
	c, err := t.dial(p, 0)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return Verdict{}, err
	}
	time.Sleep(200 * time.Millisecond) // until the answer is stuck
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		return badIO("sending while an answer is stuck", err), nil
	}
	return t.quietUsage(p)
}

const (
	// takenLimit is what a bounded echo may have taken in: its own buffers, and
	// the kernel's at their largest in both directions (tcp_wmem, tcp_rmem).
	takenLimit = 32 << 20
	offered    = 64 << 20
)

// neverRead writes until the server takes no more.
func neverRead(t *Trial) (Verdict, error) {
	p, conns, verdict, err := t.echoing(1)
	if err != nil || verdict.Kind != fine {
		return verdict, err
	}
	before, err := residentBytes(p.cmd.Process.Pid)
	if err != nil {
		return Verdict{}, err
	}
	taken, buf := int64(0), make([]byte, 64<<10)
	for taken < offered {
		n, err := t.writeAll(conns[0], buf)
		taken += int64(n)
		if err != nil {
			break
		}
	}
	after, err := residentBytes(p.cmd.Process.Pid)
	if err != nil {
		return Verdict{}, err
	}
	text := fmt.Sprintf("took %d of %d MiB, RSS +%d MiB", taken>>20, offered>>20, (after-before)>>20)
	if taken > takenLimit {
		return bad(keeps, "unbounded: %s", text), nil
	}
	return good("%s", text), nil
}

const (
	burstAtOnce = 50
	// keptLimit is the heap per connection, in bytes, above which a buffer must
	// have stayed.
	keptLimit = 4 << 10
)

func afterBurst(t *Trial) (Verdict, error) {
	// Many, also when short: what a loop keeps for itself, some hundred kB, is not per connection.
	p, conns, verdict, err := t.echoing(t.size(1000, 300))
	if err != nil || verdict.Kind != fine {
		return verdict, err
	}
	before, err := t.memory(p)
	if err != nil {
		return Verdict{}, err
	}
	verdict = t.burstAll(conns, 256<<10)
	if verdict.Kind != fine {
		return verdict, nil
	}
	time.Sleep(t.period(time.Second))
	after, err := t.memory(p)
	if err != nil {
		return Verdict{}, err
	}
	n := int64(len(conns))
	heap, resident := (after.heap-before.heap)/n, (after.resident-before.resident)/n
	text := fmt.Sprintf("%+d B heap, %+d B RSS per connection", heap, resident)
	if heap > keptLimit {
		return bad(keeps, "keeps %s", text), nil
	}
	return good("%s", text), nil
}

// memoryUse is a server's, after a garbage collection.
type memoryUse struct{ heap, resident int64 }

func (t *Trial) memory(p *Process) (memoryUse, error) {
	m, err := p.ask(Command{Do: doMemory})
	if err != nil {
		return memoryUse{}, err
	}
	resident, err := residentBytes(p.cmd.Process.Pid)
	return memoryUse{int64(m.Memory.Heap), resident}, err
}

// burstAll echoes size bytes on every connection, many at once, each with a
// pattern of its own so that mixed-up connections are seen.
func (t *Trial) burstAll(conns []net.Conn, size int64) Verdict {
	var mu sync.Mutex
	worst := good("")
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(burstAtOnce, len(conns)) {
		random := t.fork()
		wg.Go(func() {
			for i := range next {
				verdict := t.burstOnce(conns[i], pattern{t.Seed + uint64(i)}, size, random)
				mu.Lock()
				worst = worst.worse(verdict)
				mu.Unlock()
			}
		})
	}
	for i := range conns {
		next <- i
	}
	close(next)
	wg.Wait()
	return worst
}

func (t *Trial) burstOnce(c net.Conn, p pattern, size int64, random *rand.Rand) Verdict {
	sent := make(chan error, 1)
	go func() { sent <- t.send(c, random, p, size) }()
	v, buf := newVerifier(p), make([]byte, 32<<10)
	var ended error
	for v.at < size && ended == nil {
		var n int
		n, ended = t.readSome(c, buf)
		v.take(buf[:n])
	}
	if err := <-sent; err != nil && ended == nil {
		return badIO("sending", err)
	}
	return t.judge(v, size, ended)
}
