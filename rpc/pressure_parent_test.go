package rpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// presser is the parent in a pressure test: a process of its own, so that it can be
// stopped. It makes as many calls as it may, and counts how they end.
type presser struct {
	pressure
	*gauge
	loop    *reactor.Loop
	client  *rpc.Client
	request []byte
	number  uint64   // of the next call
	calls   []pushed // by number
	ended   int
	result  error
}

// pushed is what has come back of a call.
type pushed struct{ events, ends int }

func presserWorker(*child.Worker) (err error) {
	p := &presser{pressure: parsePressure(os.Args[1])}
	p.request = make([]byte, p.RequestSize)
	if p.gauge, err = openGauge(p.File); err != nil {
		return err
	}
	if p.loop, err = reactor.New(reactor.Config{}); err != nil {
		return err
	}
	defer closeLoop(p.loop)
	p.calls = make([]pushed, p.Total/max(p.RequestSize, p.answerSize()))
	config := child.Config{Worker: "pressed", Args: os.Args[1:], OnStderr: func(text []byte) { os.Stderr.Write(text) }}
	unhurried(&config)
	proc, err := child.Start(p.loop, config)
	if err != nil {
		return err
	}
	p.client, err = rpc.NewClient(proc, rpc.Config{
		Wire: p.Wire, MaxBuffered: p.Limit, OnEvent: p.onEvent, OnError: p.fail,
	})
	if err != nil {
		return err
	}
	p.fill()
	err = errors.Join(p.loop.Run(context.Background()), p.result, p.checkEnds())
	p.parentPeak.Store(peakMemory())
	return err
}

// fail notes the first error: others follow from it.
func (p *presser) fail(err error) {
	if p.result == nil {
		p.result = err
	}
}

// fill makes calls while there is room.
func (p *presser) fill() {
	p.parentFull.Store(false)
	for p.number < uint64(len(p.calls)) {
		err := p.client.GoBytesTo(p, payloadOf(p.number, p.request))
		if err == rpc.ErrFull {
			p.parentFull.Store(true)
			if err = p.client.WaitReady(p.fill); err == nil {
				return
			}
		}
		if err != nil {
			p.fail(err)
			p.loop.Stop()
			return
		}
		p.number++
		made := p.made.Add(int64(p.RequestSize))
		raise(&p.requestsMost, made-p.handled.Load())
		raise(&p.parentMost, int64(p.loop.Stats().Buffered))
	}
}

// onEvent gets an event, which begins with the number of its call.
func (p *presser) onEvent(event rpc.Payload) {
	p.calls[binary.BigEndian.Uint64(event)].events++
	p.count(event)
}

// Complete implements rpc.Completion for all calls: the reply says whose it is.
func (p *presser) Complete(reply rpc.Payload, err error) {
	if p.ended++; p.ended == len(p.calls) {
		p.client.Shutdown()
	}
	if err != nil {
		p.fail(err)
		return
	}
	call := &p.calls[binary.BigEndian.Uint64(reply)]
	if call.ends++; call.events != p.Events {
		p.fail(fmt.Errorf("a reply came behind %d events, not %d", call.events, p.Events))
	}
	p.count(reply)
}

// count counts what has come, and stops this process now and then.
func (p *presser) count(payload rpc.Payload) {
	received := p.received.Add(int64(len(payload)))
	if p.Stops == "parent" && p.stopIsDue(received, p.stops.Load()) {
		if err := p.stopSelf(); err != nil {
			p.fail(err)
		}
	}
}

func (p *presser) checkEnds() error {
	for i, call := range p.calls {
		if call.ends != 1 {
			return fmt.Errorf("call %d ended %d times; %d of %d calls have ended", i, call.ends, p.ended, len(p.calls))
		}
	}
	return nil
}
