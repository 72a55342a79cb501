package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"
)

// connectPatience is for a connection to be accepted by the kernel.
const connectPatience = 5 * time.Second

// dial connects. buffers is for SO_SNDBUF and SO_RCVBUF, set before connecting
// so that TCP's window is bounded by it; 0: the system's.
func (t *Trial) dial(p *Process, buffers int) (net.Conn, error) {
	c, err := dial(p, buffers)
	if err == nil {
		t.clients = append(t.clients, c)
	}
	return c, err
}

func dial(p *Process, buffers int) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectPatience}
	if buffers > 0 {
		dialer.ControlContext = func(_ context.Context, _, _ string, raw syscall.RawConn) error {
			var err error
			controlErr := raw.Control(func(fd uintptr) {
				err = errors.Join(
					syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, buffers),
					syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffers))
			})
			return errors.Join(controlErr, err)
		}
	}
	return dialer.Dial(p.Network, p.Address)
}

// A pace is how a slow reader reads.
type pace struct {
	delay time.Duration // before it begins
	most  int           // bytes per read; the actual number is random
	each  int64         // bytes, after which there is a pause; 0: never
	pause time.Duration
}

// read takes bytes into the verifier until total have come or the stream ends.
// ended is nil if the stream came to its last byte, and otherwise why no more
// did: io.EOF, a reset, or a timeout after Stall.
func (t *Trial) read(c net.Conn, v *verifier, total int64, p pace) (ended error) {
	time.Sleep(p.delay)
	buf := make([]byte, p.most)
	paused := int64(0)
	for v.at < total {
		n, err := t.readSome(c, buf[:1+t.Rand.IntN(p.most)])
		v.take(buf[:n])
		if err != nil {
			return err
		}
		if p.each > 0 && v.received/p.each > paused {
			paused = v.received / p.each
			time.Sleep(p.pause)
		}
	}
	return nil
}

// judge says how the stream of an answer ended: all its bytes are to have come,
// and nothing more.
func (t *Trial) judge(v *verifier, total int64, ended error) Verdict {
	verdict := v.verdict(total)
	if verdict.Kind != fine && ended != nil && !errors.Is(ended, io.EOF) {
		verdict.Text += "; " + t.endingName(ended)
		if errors.Is(ended, syscall.ECONNRESET) && verdict.Kind == loses {
			verdict.Kind = resets
		}
	}
	return verdict
}

func (t *Trial) endingName(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("then nothing for %v", t.Stall)
	}
	return err.Error()
}

// send writes size bytes of the pattern, in bursts of random length.
func (t *Trial) send(c net.Conn, random *rand.Rand, p pattern, size int64) error {
	buf := make([]byte, burstMost)
	for from := int64(0); from < size; {
		n := min(int64(1+random.IntN(burstMost)), size-from)
		p.fill(buf[:n], from)
		if _, err := t.writeAll(c, buf[:n]); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// closeWrite half-closes.
func closeWrite(c net.Conn) error {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("not a stream socket")
	}
	return half.CloseWrite()
}

// reset closes with a RST instead of a FIN.
func reset(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return errors.New("only TCP can be reset")
	}
	return errors.Join(tcp.SetLinger(0), tcp.Close())
}

// doubleGrace is how long a second close may take to follow the first.
const doubleGrace = 50 * time.Millisecond

// awaitSummary asks for the ledger until done is true of it and a second close would
// have come, or nothing has changed in it for Stall.
func (t *Trial) awaitSummary(p *Process, total int64, done func(Summary) bool) (last Summary, err error) {
	const look = 10 * time.Millisecond
	for quiet := time.Duration(0); quiet < t.Stall; quiet += look {
		m, err := p.ask(Command{Do: doReport, Total: total})
		if err != nil {
			return last, err
		}
		if now := *m.Summary; now != last {
			last, quiet = now, 0
		}
		if quiet >= doubleGrace && done(last) {
			break
		}
		time.Sleep(look)
	}
	return last, nil
}
