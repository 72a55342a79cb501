package main

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Bytes must arrive: all of them, once, in order.

func byteScenarios() []Scenario {
	return []Scenario{
		{ID: "echo-tcp", Title: "echo of random bursts, small socket buffers, slow reader, TCP", Run: bursts("tcp")},
		{ID: "echo-unix", Title: "the same over a unix socket", Run: bursts("unix")},
		{ID: "push", Title: "server sends random bursts from another goroutine, slow reader, TCP", Run: push},
		{ID: "half-close", Title: "client half-closes, then the server answers 4 MiB", Run: answerAfterEOF},
		{ID: "half-close-echo", Title: "client sends 16 MiB and half-closes, and is slow to read the echo", Run: echoAfterEOF},
		{ID: "vector-tcp", Title: "answer of 12 MiB in 1,000 buffers, slow reader, TCP", Run: vector("tcp", 1000)},
		{ID: "vector-unix", Title: "the same over a unix socket", Run: vector("unix", 1000)},
		{ID: "vector-many", Title: "the same in 1,500 buffers: more than IOV_MAX, TCP", Run: vector("tcp", 1500)},
		{ID: "write-close", Title: "server writes 32 MiB and closes, slow reader", Run: bulk},
	}
}

const (
	smallBuffers = 16 << 10
	burstMost    = 64 << 10
)

// bursts writes and reads at the same time, each at its own random pace.
func bursts(network string) func(*Trial) (Verdict, error) {
	return func(t *Trial) (Verdict, error) {
		total := int64(t.size(8<<20, 512<<10))
		p, c, err := t.connect(Order{Role: roleEcho, Network: network}, smallBuffers)
		if err != nil {
			return Verdict{}, err
		}
		sent := make(chan error, 1)
		random := t.fork()
		go func() { sent <- t.send(c, random, pattern{t.Seed}, total) }()
		v := newVerifier(pattern{t.Seed})
		ended := t.read(c, v, total, pace{most: 32 << 10, each: 128 << 10, pause: time.Millisecond})
		verdict := t.judge(v, total, ended)
		if ended != nil {
			c.Close() // ends the sender, whose error follows from that
			<-sent
			return verdict, nil
		}
		if err := <-sent; err != nil {
			return verdict.worse(badIO("sending", err)), nil
		}
		return t.oneClose(p, c, verdict.worse(t.trailing(c)))
	}
}

// oneClose closes, and adds to a good verdict that the server must notice its
// only connection's end.
func (t *Trial) oneClose(p *Process, c net.Conn, verdict Verdict) (Verdict, error) {
	c.Close()
	if verdict.Kind != fine {
		return verdict, nil
	}
	s, err := t.awaitSummary(p, 0, func(s Summary) bool { return s.Closed == 1 })
	return closes(s, 1), err
}

// trailing looks whether anything comes behind the last byte.
func (t *Trial) trailing(c net.Conn) Verdict {
	for range 2 { // looks, between which the server runs
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := c.Read(make([]byte, 4096))
		if n > 0 {
			return bad(repeats, "sends %d bytes too many", n)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		t.awaken()
	}
	return good("")
}

func answerAfterEOF(t *Trial) (Verdict, error) {
	size := t.size(4<<20, 4<<20)
	p, c, err := t.connect(Order{Role: roleAfterEOF, Network: "tcp", Size: size}, 0)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := c.Write(pattern{t.Seed}.bytes(1000)); err != nil {
		return Verdict{}, err
	}
	if err := closeWrite(c); err != nil {
		return Verdict{}, err
	}
	return t.oneClose(p, c, t.wholeAnswer(c, size, pace{most: 64 << 10}))
}

// connect starts a server and connects to it once.
func (t *Trial) connect(o Order, buffers int) (*Process, net.Conn, error) {
	p, err := t.start(o)
	if err != nil {
		return nil, nil, err
	}
	c, err := t.dial(p, buffers)
	return p, c, err
}

// wholeAnswer reads an answer and the EOF behind it.
func (t *Trial) wholeAnswer(c net.Conn, size int, speed pace) Verdict {
	v := newVerifier(pattern{t.Seed})
	ended := t.read(c, v, int64(size), speed)
	verdict := t.judge(v, int64(size), ended)
	if ended != nil {
		return verdict
	}
	n, err := t.readSome(c, make([]byte, 1))
	switch {
	case n > 0:
		return bad(repeats, "sends %d bytes too many, or more", n)
	case !errors.Is(err, io.EOF):
		return verdict.worse(badIO("after the whole answer", err))
	}
	return verdict
}

// vector's server stays open, so that nothing is lost by closing.
func vector(network string, buffers int) func(*Trial) (Verdict, error) {
	return func(t *Trial) (Verdict, error) {
		size := t.size(12<<20, 4<<20)
		_, c, err := t.connect(Order{Role: roleVector, Network: network, Size: size, Buffers: buffers}, 0)
		if err != nil {
			return Verdict{}, err
		}
		if _, err := c.Write([]byte{1}); err != nil {
			return Verdict{}, err
		}
		return t.slowly(c, size), nil
	}
}

// slowly reads what a server sends that stays open, and looks whether more comes.
func (t *Trial) slowly(c net.Conn, size int) Verdict {
	v := newVerifier(pattern{t.Seed})
	ended := t.read(c, v, int64(size), pace{
		delay: t.period(300 * time.Millisecond), most: 32 << 10, each: 256 << 10, pause: time.Millisecond,
	})
	verdict := t.judge(v, int64(size), ended)
	if ended != nil {
		return verdict
	}
	return verdict.worse(t.trailing(c))
}

func push(t *Trial) (Verdict, error) {
	size := t.size(8<<20, 1<<20)
	_, c, err := t.connect(Order{Role: rolePush, Network: "tcp", Size: size}, smallBuffers)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return Verdict{}, err
	}
	return t.slowly(c, size), nil
}

// echoAfterEOF is what "nc -N" does: the end of the input is no reason not to
// wait for the output.
func echoAfterEOF(t *Trial) (Verdict, error) {
	size := t.size(16<<20, 1<<20)
	_, c, err := t.connect(Order{Role: roleEcho, Network: "tcp"}, 0)
	if err != nil {
		return Verdict{}, err
	}
	sent := make(chan error, 1)
	random := t.fork()
	go func() {
		err := t.send(c, random, pattern{t.Seed}, int64(size))
		if err == nil {
			err = closeWrite(c)
		}
		sent <- err
	}()
	verdict := t.wholeAnswer(c, size, pace{
		delay: t.period(300 * time.Millisecond), most: 64 << 10, each: 256 << 10, pause: time.Millisecond,
	})
	if err := <-sent; err != nil && verdict.Kind == fine {
		return badIO("sending", err), nil
	}
	return verdict, nil
}

func bulk(t *Trial) (Verdict, error) {
	size := t.size(32<<20, 8<<20)
	p, c, err := t.connect(Order{Role: roleBulk, Network: "tcp", Size: size}, 0)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return Verdict{}, err
	}
	verdict := t.wholeAnswer(c, size, pace{
		delay: t.period(500 * time.Millisecond), most: 64 << 10, each: 1 << 20, pause: time.Millisecond,
	})
	return t.oneClose(p, c, verdict)
}
