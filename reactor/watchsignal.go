package reactor

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
)

// A SignalWatcher calls back after the process has received a signal. Any number
// of watchers, on any number of loops, may watch the same signal; each is
// called. Signals that come faster than the loop turns are joined: after the last
// of a storm there is at least one call, and there is at most one per iteration.
// All methods belong to the loop's goroutine.
type SignalWatcher struct {
	watcher
	signal syscall.Signal
	fn     func()
	count  uint64
}

// signalSources are what the loop receives each watched signal by.
type signalSources map[syscall.Signal]*signalSource

// A signalSource receives one signal for one loop. It has a channel and a
// goroutine of its own, because os/signal drops what does not fit into a channel:
// in one that is shared, a storm of one signal would cost the only instance of
// another. In this one, what does not fit is a signal that is waiting already.
type signalSource struct {
	loop     *Loop
	channel  chan os.Signal
	unseen   atomic.Uint64    // received, not noticed by the loop; its post is on the way unless 0
	watchers []*SignalWatcher // in start order
}

// WatchSignal starts a watcher for a signal, which then does not have its default
// effect on the process (package os/signal says which that is), until the last
// watcher of it has been stopped and nobody else has asked os/signal for it. A
// signal that cannot be caught (SIGKILL, SIGSTOP), or that the Go runtime does
// not hand on, is ErrInvalid. The runtime sends SIGURG to its own threads: a
// watcher of that one is called for nothing.
//
// Starting the first watcher of a signal on a loop, and stopping the last, go
// through os/signal, which can take milliseconds; all others take nothing.
func (l *Loop) WatchSignal(sig os.Signal, fn func()) (*SignalWatcher, error) {
	number, ok := sig.(syscall.Signal)
	if !ok || !catchable(number) {
		return nil, ErrInvalid
	}
	s := &SignalWatcher{watcher: newWatcher(l), signal: number, fn: fn}
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// Start starts a stopped watcher, behind those that watch the signal already. On
// a closed loop it returns ErrClosed.
func (s *SignalWatcher) Start() error {
	switch {
	case s.active:
		return nil
	case s.loop.closing:
		return ErrClosed
	}
	source := s.loop.signalSource(s.signal)
	source.watchers = append(source.watchers, s)
	s.setActive(true)
	return nil
}

// Stop stops the watcher; it is not called for signals that have come already
// either. If it is started again at once, beside others of the signal, it may be called
// for one from before. With the last watcher of the process the default effect returns: the
// next SIGINT, SIGTERM or SIGHUP ends the process.
func (s *SignalWatcher) Stop() {
	if !s.active {
		return
	}
	l := s.loop
	l.unpend(&s.watcher)
	s.setActive(false)
	source := l.signals[s.signal]
	i := slices.Index(source.watchers, s)
	source.watchers = slices.Delete(source.watchers, i, i+1)
	if len(source.watchers) == 0 {
		delete(l.signals, s.signal)
		source.end()
	}
}

// Signal returns the watched signal.
func (s *SignalWatcher) Signal() os.Signal { return s.signal }

// Count is how many signals the watcher has seen since it was made. Kernel and
// runtime join signals, too, so it is no more than how many were sent, and no
// less than how many calls there were.
func (s *SignalWatcher) Count() uint64 { return s.count }

// Feed has the watcher called in the next iteration as if the signal had been
// received. It returns ErrNotActive if the watcher is stopped.
func (s *SignalWatcher) Feed() error {
	if s.active {
		s.count++
	}
	return s.loop.feed(&s.watcher, s, 0)
}

// FeedSignal feeds all watchers of the signal on this loop.
func (l *Loop) FeedSignal(sig os.Signal) {
	number, _ := sig.(syscall.Signal)
	if source := l.signals[number]; source != nil {
		for _, s := range source.watchers {
			_ = s.Feed() // listed watchers are active
		}
	}
}

func (s *SignalWatcher) invoke(Ready)            { s.fn() }
func (s *SignalWatcher) describe() (string, int) { return "signal", -1 }

// signalSource returns the source of a signal, opened by its first watcher.
func (l *Loop) signalSource(number syscall.Signal) *signalSource {
	if source := l.signals[number]; source != nil {
		return source
	}
	source := &signalSource{loop: l, channel: make(chan os.Signal, 1)}
	if l.signals == nil {
		l.signals = make(signalSources)
	}
	l.signals[number] = source
	signal.Notify(source.channel, number)
	go source.forward()
	return source
}

// forward takes signals to the loop until the source or the loop ends.
func (s *signalSource) forward() {
	arrived := s.arrived // bound once: no allocation per signal
	for range s.channel {
		if s.unseen.Add(1) == 1 && s.loop.Post(arrived) != nil {
			return
		}
	}
}

// arrived is the loop's half. A source that has ended has no watchers.
func (s *signalSource) arrived() {
	s.loop.ownPost()
	count := s.unseen.Swap(0)
	for _, w := range s.watchers {
		w.count += count
		s.loop.pendLate(&w.watcher, w)
	}
}

// end makes forward return: nothing is sent to the channel after signal.Stop.
func (s *signalSource) end() {
	signal.Stop(s.channel)
	close(s.channel)
}

func (l *Loop) verifySignals(refs *int) error {
	for number, source := range l.signals {
		if len(source.watchers) == 0 {
			return fmt.Errorf("reactor: signal %d is received for nobody", number)
		}
		for _, s := range source.watchers {
			if s.signal != number || !s.active {
				return fmt.Errorf("reactor: watcher of signal %d is listed under %d, active %v", s.signal, number, s.active)
			}
			if !s.unref {
				*refs++
			}
		}
	}
	return nil
}

// releaseSignals stops what is left when the loop is released.
func (l *Loop) releaseSignals() {
	for _, source := range l.signals {
		for range len(source.watchers) {
			source.watchers[0].Stop()
		}
	}
}
