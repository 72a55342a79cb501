package reactor

// A Resident is the state that another package keeps on a loop, ended with it.
// Package child keeps its spawner thread and its processes in one.
type Resident interface {
	// Shutdown begins to end gracefully. Nothing new is accepted.
	Shutdown()
	// Close begins to end by force.
	Close()
	// Active reports whether callbacks are still owed; the loop goes on
	// iterating until it is false, or until it has waited long enough.
	Active() bool
	// Release frees what is left, after the loop's last iteration and without
	// callbacks.
	Release()
}

type residents struct {
	byKey  map[any]Resident
	order  []Resident
	ending bool // by Shutdown or Close: who is not there yet would not hear of it
}

// Resident returns the state that key, a type of the caller's own, names on this
// loop, made by open at first use. On a loop that has ended, and of a key not used
// before on one that is being closed or shut down, the error is ErrClosed, and open is
// not called.
func (l *Loop) Resident(key any, open func() Resident) (Resident, error) {
	if l.closing {
		return nil, ErrClosed
	}
	if r, ok := l.byKey[key]; ok {
		return r, nil
	}
	if l.ending {
		return nil, ErrClosed
	}
	r := open()
	if l.byKey == nil {
		l.byKey = make(map[any]Resident)
	}
	l.byKey[key] = r
	l.order = append(l.order, r)
	return r, nil
}

func (r *residents) activeResidents() bool {
	for _, x := range r.order {
		if x.Active() {
			return true
		}
	}
	return false
}
