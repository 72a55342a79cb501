package main

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// Bytes must arrive: all of them, once, in order.

func byteScenarios() []Scenario {
	return []Scenario{
		{ID: "1-tcp", Title: "echo of random bursts, small socket buffers, slow reader, TCP", Run: bursts("tcp")},
		{ID: "1-unix", Title: "the same over a unix socket", Run: bursts("unix")},
		{ID: "3", Title: "client half-closes, then the server answers 4 MiB", Run: answerAfterEOF},
		{ID: "4-tcp", Title: "answer of 12 MiB in 1,500 buffers, slow reader, TCP", Run: vector("tcp")},
		{ID: "4-unix", Title: "the same over a unix socket", Run: vector("unix")},
		{ID: "5", Title: "server writes 32 MiB and closes, slow reader", Run: bulk},
	}
}

const (
	smallBuffers = 16 << 10
	burstMost    = 64 << 10
)

// bursts writes and reads at the same time, each at its own random pace.
func bursts(network string) func(context.Context, *Trial) (Verdict, error) {
	return func(_ context.Context, t *Trial) (Verdict, error) {
		total := int64(t.size(8<<20, 512<<10))
		p, err := t.start(Order{Role: roleEcho, Network: network})
		if err != nil {
			return Verdict{}, err
		}
		c, err := t.dial(p, smallBuffers)
		if err != nil {
			return Verdict{}, err
		}
		sent := make(chan error, 1)
		random := t.fork()
		go func() { sent <- send(c, random.IntN, pattern{t.Seed}, 0, total, burstMost) }()
		v := newVerifier(pattern{t.Seed})
		ended := t.read(c, v, total, pace{most: 32 << 10, each: 128 << 10, pause: time.Millisecond})
		if gone, is := p.gone(); is {
			return gone, nil
		}
		verdict := judge(v, total, ended)
		if ended != nil {
			c.Close() // ends the sender, whose error follows from that
			<-sent
			return verdict, nil
		}
		if err := <-sent; err != nil {
			return verdict.worse(badIO("sending", err)), nil
		}
		return verdict.worse(trailing(c)), nil
	}
}

// trailing looks whether anything comes behind the last byte.
func trailing(c net.Conn) Verdict {
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, _ := c.Read(make([]byte, 4096))
	if n > 0 {
		return bad(repeats, "sends %d bytes too many", n)
	}
	return good("")
}

func answerAfterEOF(_ context.Context, t *Trial) (Verdict, error) {
	size := t.size(4<<20, 4<<20)
	c, err := t.connect(Order{Role: roleAfterEOF, Network: "tcp", Size: size}, 0)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := c.Write(pattern{t.Seed}.bytes(1000)); err != nil {
		return Verdict{}, err
	}
	if err := closeWrite(c); err != nil {
		return Verdict{}, err
	}
	return t.wholeAnswer(c, size, pace{most: 64 << 10}), nil
}

// connect starts a server and connects to it once.
func (t *Trial) connect(o Order, buffers int) (net.Conn, error) {
	p, err := t.start(o)
	if err != nil {
		return nil, err
	}
	return t.dial(p, buffers)
}

// wholeAnswer reads an answer and the EOF behind it.
func (t *Trial) wholeAnswer(c net.Conn, size int, p pace) Verdict {
	v := newVerifier(pattern{t.Seed})
	ended := t.read(c, v, int64(size), p)
	verdict := judge(v, int64(size), ended)
	if gone, is := t.processes[0].gone(); is && verdict.Kind != fine {
		return gone
	}
	if ended != nil {
		return verdict
	}
	c.SetReadDeadline(time.Now().Add(stall))
	n, err := c.Read(make([]byte, 1))
	switch {
	case n > 0:
		return bad(repeats, "sends more than the answer")
	case !errors.Is(err, io.EOF):
		return verdict.worse(badIO("after the whole answer", err))
	}
	return verdict
}

// vector's server stays open, so that nothing is lost by closing.
func vector(network string) func(context.Context, *Trial) (Verdict, error) {
	return func(_ context.Context, t *Trial) (Verdict, error) {
		size := t.size(12<<20, 4<<20)
		c, err := t.connect(Order{Role: roleVector, Network: network, Size: size}, 0)
		if err != nil {
			return Verdict{}, err
		}
		if _, err := c.Write([]byte{1}); err != nil {
			return Verdict{}, err
		}
		v := newVerifier(pattern{t.Seed})
		ended := t.read(c, v, int64(size), pace{
			delay: t.period(300 * time.Millisecond), most: 32 << 10, each: 256 << 10, pause: time.Millisecond,
		})
		verdict := judge(v, int64(size), ended)
		if gone, is := t.processes[0].gone(); is && verdict.Kind != fine {
			return gone, nil
		}
		return verdict, nil
	}
}

func bulk(_ context.Context, t *Trial) (Verdict, error) {
	size := t.size(32<<20, 8<<20)
	c, err := t.connect(Order{Role: roleBulk, Network: "tcp", Size: size}, 0)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return Verdict{}, err
	}
	return t.wholeAnswer(c, size, pace{
		delay: t.period(500 * time.Millisecond), most: 64 << 10, each: 1 << 20, pause: time.Millisecond,
	}), nil
}
