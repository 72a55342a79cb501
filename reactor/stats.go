package reactor

// Stats counts what a loop has done since it was made, and what it holds now.
type Stats struct {
	Iterations uint64
	Events     uint64 // descriptors reported ready
	Stale      uint64 // events dropped because their descriptor had been closed or reused
	Rebuilds   uint64 // of the poller's set, because stale events would not stop
	Timers     uint64 // fired
	Posts      uint64 // posted functions run
	Slow       uint64 // callbacks that took Config.SlowThreshold or longer

	// Lag is for how long each iteration kept the loop from waiting: what comes
	// meanwhile waits that long.
	Lag Histogram

	// System calls, by kind.
	Waits    uint64 // of the poller, blocking or not
	Blocked  uint64 // those of them that were ready to block
	Controls uint64 // registrations changed
	Wakes    uint64 // of the loop, by other goroutines
	Reads    uint64
	Writes   uint64

	BytesRead    uint64
	BytesWritten uint64

	// Held now.
	Refs     int // active referenced watchers and holds
	Streams  int
	Timing   int // active timers
	Buffered int // bytes queued for writing, over all streams
}

// Stats returns the counters.
func (l *Loop) Stats() Stats {
	s := l.stats
	s.Refs = l.refs + int(l.holds.Load())
	s.Timing = l.timers.len()
	if l.observer != nil {
		s.Slow = l.observer.slow
	}
	l.posts.mu.Lock()
	s.Wakes = l.posts.wakes
	l.posts.mu.Unlock()
	for st := l.streams.first; st != nil; st = st.next {
		s.Streams++
		s.Buffered += st.Buffered()
	}
	return s
}
