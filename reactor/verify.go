package reactor

import "fmt"

// Verify walks the loop's invariants and returns the first that does not hold;
// nil means that all do. It is for tests: it costs a look at everything the
// loop holds.
func (l *Loop) Verify() error {
	refs := 0
	for _, check := range []func(*int) error{
		l.verifyTimers, l.verifySlots, l.verifyProcesses, l.verifyHooks, l.verifyPending, l.verifyStreams,
		l.verifyWalls, l.verifySignals, l.verifyAsyncs, l.verifyPaths,
	} {
		if err := check(&refs); err != nil {
			return err
		}
	}
	if refs != l.refs {
		return fmt.Errorf("reactor: %d references counted, %d kept", refs, l.refs)
	}
	return nil
}

func (l *Loop) verifyTimers(refs *int) error {
	for i := range l.timers.entries {
		e := &l.timers.entries[i]
		if int(e.t.index) != i || !e.t.active {
			return fmt.Errorf("reactor: timer %d of the heap believes to be %d, active %v", i, e.t.index, e.t.active)
		}
		if i > 0 && e.before(&l.timers.entries[(i-1)/4]) {
			return fmt.Errorf("reactor: timer %d is due before its parent", i)
		}
		if !e.t.unref {
			*refs++
		}
	}
	return l.timers.burst.verify(l.timers.entries, refs)
}

func (l *Loop) verifySlots(refs *int) error {
	for fd := range l.slots {
		s := &l.slots[fd]
		for w := s.first; w != nil; w = w.next {
			switch {
			case w.FD() != fd:
				return fmt.Errorf("reactor: watcher of fd %d is listed under fd %d", w.fd, fd)
			case !w.active:
				return fmt.Errorf("reactor: a stopped watcher is listed under fd %d", fd)
			case w.next != nil && w.next.prev != w:
				return fmt.Errorf("reactor: watchers of fd %d are linked wrongly", fd)
			}
			if !w.unref {
				*refs++
			}
		}
		// A registration that the kernel refused to renew is 0; see rebuild.
		if asked := s.asked(); s.kernel != asked && s.kernel != 0 {
			return fmt.Errorf("reactor: fd %d: asked for %s, registered for %s", fd, ReadyString(asked), ReadyString(s.kernel))
		}
	}
	return nil
}

func (l *Loop) verifyProcesses(refs *int) error {
	for w := range l.watched {
		if !w.active {
			return fmt.Errorf("reactor: a stopped watcher of process %d is listed", w.pid)
		}
		if !w.unref {
			*refs++
		}
	}
	return nil
}

func (l *Loop) verifyHooks(refs *int) error {
	for _, list := range [][]*Hook{l.hooks.prepare, l.hooks.check, l.hooks.idle, l.hooks.cleanup} {
		for _, h := range list {
			if !h.active {
				return fmt.Errorf("reactor: a stopped %s hook is listed", h.label)
			}
			if !h.unref {
				*refs++
			}
		}
	}
	return nil
}

// verifyPending also counts the one-shot timers that are pending: they are in no
// other list.
func (l *Loop) verifyPending(refs *int) error {
	check := func(entries []pendingEntry, place func(i int) int32) error {
		for i, e := range entries {
			if e.call == nil {
				continue
			}
			w := e.call.base()
			if w.pending != place(i) || !w.active {
				return fmt.Errorf("reactor: pending watcher %d believes to be %d, active %v", place(i), w.pending, w.active)
			}
			if t, ok := e.call.(*Timer); ok && t.index == outside && !t.unref {
				*refs++
			}
		}
		return nil
	}
	for level := range l.pending.queues {
		if err := check(l.pending.queues[level].entries, func(i int) int32 { return int32(i + 1) }); err != nil {
			return err
		}
	}
	return check(l.pending.fed, func(i int) int32 { return int32(-i - 1) })
}

func (l *Loop) verifyStreams(*int) error {
	queued := make(map[*Stream]bool)
	for _, s := range l.dirty {
		queued[s] = true
	}
	for s := l.streams.first; s != nil; s = s.next {
		size := -s.queue.head
		for _, c := range s.queue.chunks {
			size += len(c.B)
		}
		switch {
		case s.closed:
			return fmt.Errorf("reactor: a closed stream is listed")
		case size != s.queue.size:
			return fmt.Errorf("reactor: stream of fd %d holds %d bytes and counts %d", s.writer.fd, size, s.queue.size)
		case s.dirty != queued[s]:
			return fmt.Errorf("reactor: stream of fd %d: dirty is %v, listed is %v", s.writer.fd, s.dirty, queued[s])
		case s.queue.size > 0 && !s.dirty && !s.blocked:
			return fmt.Errorf("reactor: stream of fd %d has forgotten %d bytes", s.writer.fd, s.queue.size)
		case s.queue.last != nil && len(s.queue.last.B) == 0:
			return fmt.Errorf("reactor: stream of fd %d keeps an empty buffer: AppendBuffer without Commit", s.writer.fd)
		}
		if err := s.verifyExtra(); err != nil {
			return err
		}
	}
	return nil
}
