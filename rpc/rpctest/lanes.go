package rpctest

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// initLanes connects the lanes with their ends. The pipe that the client writes is
// read to the byte, so that what has not been passed on is still in it.
func (tr *Transport) initLanes(random *rand.Rand) {
	tr.toChild = lane{
		loop: tr.loop, random: random,
		faults: tr.config.ToChild, list: tr.config.ToChild.sorted(),
		fetch: tr.fetchNear,
		ready: func() bool { return false }, // the watcher tells
		watch: tr.watchNear,
		pass: func(p []byte) {
			_ = tr.far.Write(p) // a child that is gone reads nothing
			tr.far.Flush()
		},
		congested: func() bool { return tr.far.Congested() },
		half:      tr.inputEnded,
		die:       tr.struck,
		changed:   func() {},
	}
	tr.toParent = lane{
		loop: tr.loop, random: random,
		faults: tr.config.ToParent, list: tr.config.ToParent.sorted(),
		fetch: tr.fetchFar,
		ready: func() bool { return len(tr.queue) > 0 || tr.farEOF },
		watch: func(bool) { tr.watchFar() },
		pass: func(p []byte) {
			_ = tr.nearWrite.Write(p) // a client that has closed reads nothing
			tr.nearWrite.Flush()
		},
		congested: func() bool { return tr.nearWrite.Congested() },
		half:      tr.outputEnded,
		die:       tr.struck,
		changed: func() {
			tr.watchFar()
			tr.checkGone()
		},
	}
}

func (tr *Transport) fetchNear(most int) (p []byte, eof bool) {
	for {
		n, err := unix.Read(tr.nearRead, tr.buf[:min(most, len(tr.buf))])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return nil, false
		case err != nil || n == 0:
			return nil, true
		default:
			return tr.buf[:n], false
		}
	}
}

func (tr *Transport) watchNear(on bool) {
	if on {
		tr.watched(tr.reader.Start())
		return
	}
	tr.watched(tr.reader.Stop())
}

// watched is must of the change of a watch. A loop that is being closed begins none any more, and ends everything.
func (tr *Transport) watched(err error) {
	if err != error(reactor.ErrClosed) {
		tr.must(err)
	}
}

// fetchFar takes from the front of the queue; what is behind moves up when the
// piece has been passed on, which is before the next call.
func (tr *Transport) fetchFar(most int) (p []byte, eof bool) {
	n := min(most, len(tr.queue))
	p = tr.queue[:n:n]
	tr.queue = tr.queue[n:]
	if len(tr.queue) == 0 {
		tr.queue = nil
	}
	return p, len(tr.queue) == 0 && tr.farEOF
}

// onFarData queues what the child has written. It is read again when that has been
// passed on.
func (tr *Transport) onFarData(data []byte) {
	if tr.toParent.ended {
		return
	}
	tr.queue = append(tr.queue, data...)
	tr.watchFar()
	tr.toParent.update()
}

func (tr *Transport) watchFar() {
	if tr.far == nil || tr.far.Closed() {
		return
	}
	// What comes after the end of the lane is read and dropped: the end of the
	// child has to be seen.
	if tr.toParent.ended || tr.toParent.watching && len(tr.queue) == 0 {
		tr.watched(tr.far.Resume())
	} else {
		tr.watched(tr.far.Pause())
	}
}

func (tr *Transport) onFarEOF() {
	tr.farEOF = true
	tr.toParent.update()
	if tr.alone {
		tr.childGone(tr.exitError(child.ExitState{Known: true}))
	}
}

// onFarWriteError: the child has closed its input.
func (tr *Transport) onFarWriteError(error) {
	if tr.gone == nil {
		tr.closeNearRead()
		tr.suspect(child.ErrClosedPipe)
	}
}

// inputEnded is the end of toChild: the client's, or one that the test wants. In
// both cases nobody will read what the client writes.
func (tr *Transport) inputEnded() {
	tr.far.CloseWrite()
	tr.closeNearRead()
	tr.passStop()
}

// outputEnded is the end of toParent.
func (tr *Transport) outputEnded() {
	tr.nearWrite.CloseWrite()
	tr.watchFar()
	if tr.gone == nil {
		tr.suspect(child.ErrClosedPipe)
	}
}

func (tr *Transport) closeNearRead() {
	tr.toChild.end()
	if tr.nearRead >= 0 {
		unix.Close(tr.nearRead)
		tr.nearRead = -1
	}
}

// farConfig is for the stream to and from the server.
func (tr *Transport) farConfig() reactor.StreamConfig {
	return reactor.StreamConfig{
		OnData:       tr.onFarData,
		OnEOF:        tr.onFarEOF,
		OnDrain:      func() { tr.toChild.update() },
		OnWriteError: tr.onFarWriteError,
		HighWater:    farHighWater,
	}
}
