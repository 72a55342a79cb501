package rpc_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

func TestCallTableCountsUp(t *testing.T) {
	table := rpc.NewCallTable(rpc.Evfork, 1)
	for want := uint32(1); want <= 1000; want++ {
		if id := table.Add(&result{}, uint64(want)); id != want {
			t.Fatalf("call %d has the id %d", want, id)
		}
	}
	if table.Len() != 1000 {
		t.Errorf("it counts %d calls", table.Len())
	}
}

func TestCallTableWrapsAroundWithoutTheEventsID(t *testing.T) {
	for wire, last := range map[rpc.Wire]uint32{rpc.Evfork: 1<<28 - 1, rpc.AnyEventAsync: 1<<32 - 1, rpc.AnyEventSync: 1<<32 - 1} {
		t.Run(wire.String(), func(t *testing.T) {
			table := rpc.NewCallTable(wire, last)
			first, second := table.Add(&result{}, 1), table.Add(&result{}, 2)
			if first != last || second != 1 {
				t.Errorf("the ids are %d and %d", first, second)
			}
			if table.Take(last) == nil || table.Take(1) == nil {
				t.Error("a call is not found")
			}
		})
	}
}

func TestCallTableSkipsIDsWhosePlaceIsTaken(t *testing.T) {
	table := rpc.NewCallTable(rpc.Evfork, 1)
	old := &result{}
	first := table.Add(old, 1)
	seen := map[uint32]bool{first: true}
	for i := range uint64(100) { // round a table of 16 places, several times
		id := table.Add(&result{}, i+2)
		if seen[id] || id%16 == first%16 {
			t.Fatalf("id %d is in the place of call %d", id, first)
		}
		seen[id] = true
		table.Take(id)
	}
	if table.Take(first) != rpc.Completion(old) {
		t.Error("the old call is not found")
	}
}

func TestCallTableFindsEachReplyOnce(t *testing.T) {
	table := rpc.NewCallTable(rpc.Evfork, 1)
	id := table.Add(&result{}, 1)
	if table.Take(id+16) != nil || table.Take(0) != nil || table.Take(id+1) != nil {
		t.Error("a call that was never made is found")
	}
	if table.Take(id) == nil {
		t.Error("the call is not found")
	}
	if table.Take(id) != nil {
		t.Error("the call is found a second time")
	}
}

func TestCallTableDrainsInTheOrderOfTheCalls(t *testing.T) {
	table := rpc.NewCallTable(rpc.Evfork, 1<<28-50) // the ids wrap around
	var want []uint32
	for i := range uint64(200) {
		id := table.Add(&result{}, i+1)
		if i%3 == 0 {
			table.Take(id)
		} else {
			want = append(want, id)
		}
	}
	if got := table.Drain(); !slices.Equal(got, want) {
		t.Errorf("the order is %v", got)
	}
	if table.Len() != 0 || len(table.Drain()) != 0 {
		t.Error("it is not empty afterwards")
	}
}

// Against a map, with calls that end in any order, on an id space with a wrap.
func TestCallTableIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	table := rpc.NewCallTable(rpc.Evfork, 1<<28-500)
	model := map[uint32]*result{}
	var ids []uint32
	for i := range uint64(100_000) {
		if random.IntN(500) > len(ids) {
			r := &result{}
			id := table.Add(r, i)
			if model[id] != nil || id == 0 || id >= 1<<28 {
				t.Fatalf("id %d was given out", id)
			}
			model[id] = r
			ids = append(ids, id)
			continue
		}
		k := random.IntN(len(ids))
		id := ids[k]
		ids[k] = ids[len(ids)-1]
		ids = ids[:len(ids)-1]
		if table.Take(id) != rpc.Completion(model[id]) {
			t.Fatalf("call %d is not the one that was added", id)
		}
		delete(model, id)
		if table.Take(id) != nil {
			t.Fatalf("call %d is found again", id)
		}
	}
}

func TestBusyCounterIsIdleWhenNothingCanCome(t *testing.T) {
	b := rpc.NewBusy()
	steps := []struct {
		do   func()
		idle bool
	}{
		{func() {}, false}, // the open input
		{b.Called, false},
		{b.Called, false},
		{b.Answered, false},
		{b.InputEnded, false}, // one call is left
		{b.Answered, true},
	}
	for i, step := range steps {
		if step.do(); b.Idle() != step.idle {
			t.Errorf("after step %d: idle is %v", i, b.Idle())
		}
	}
}

func TestBusyCounterIsIdleAtTheEOFWithoutCalls(t *testing.T) {
	b := rpc.NewBusy()
	b.Called()
	b.Answered()
	if b.Idle() {
		t.Error("idle while the input is open")
	}
	if b.InputEnded(); !b.Idle() {
		t.Error("not idle after the EOF")
	}
}

func TestPaceBatchesOnceHandlersHaveBeenCheap(t *testing.T) {
	p := rpc.NewPace(false)
	if p.Batching() {
		t.Error("it batches before it knows")
	}
	for range 100 {
		p.Observe(10, time.Microsecond)
	}
	if !p.Batching() {
		t.Error("it does not batch after a thousand cheap calls")
	}
	p.Observe(1, time.Second)
	if p.Batching() {
		t.Error("it batches after a slow one")
	}
	p.Observe(0, time.Hour) // no call, no sample
	for range 1000 {
		p.Observe(10, time.Microsecond)
	}
	if !p.Batching() {
		t.Error("it does not recover")
	}
}

func TestPaceNeverBatchesWithFlushEach(t *testing.T) {
	p := rpc.NewPace(true)
	for range 100 {
		p.Observe(10, time.Microsecond)
	}
	if p.Batching() {
		t.Error("it batches")
	}
}

func TestOpenCallIsAnsweredOnce(t *testing.T) {
	var open rpc.OpenCalls
	a, b := open.Add(7), open.Add(8)
	if id, ok := open.Take(a); id != 7 || !ok {
		t.Errorf("the first call is %d, %v", id, ok)
	}
	if _, ok := open.Take(a); ok {
		t.Error("the first call is answered twice")
	}
	c := open.Add(9) // in the place of the first
	if _, ok := open.Take(a); ok {
		t.Error("the first call's Done answers the third")
	}
	if id, ok := open.Take(c); id != 9 || !ok {
		t.Errorf("the third call is %d, %v", id, ok)
	}
	if id, ok := open.Take(b); id != 8 || !ok {
		t.Errorf("the second call is %d, %v", id, ok)
	}
	if open.Slots() != 2 {
		t.Errorf("%d slots for two calls at a time", open.Slots())
	}
}

// Against a map, with times that are given, changed and taken away in any order.
func TestDeadlinesComeInTheirOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	table := rpc.NewCallTable(rpc.Evfork, 1)
	times := map[uint32]time.Duration{}
	var ids []uint32
	for range 200 {
		ids = append(ids, table.Add(&result{}, 1))
	}
	check := func() {
		t.Helper()
		id, at, ok := table.FirstTime()
		if ok != (len(times) > 0) {
			t.Fatalf("a time is there: %v, of %d", ok, len(times))
		}
		for _, other := range times {
			if other < at {
				t.Fatalf("%v comes before %v", at, other)
			}
		}
		if ok && times[id] != at {
			t.Fatalf("call %d has %v instead of %v", id, at, times[id])
		}
	}
	for range 20_000 {
		id := ids[random.IntN(len(ids))]
		if random.IntN(3) > 0 {
			times[id] = time.Duration(random.IntN(100))
			table.Schedule(id, times[id])
		} else {
			delete(times, id)
			table.Unschedule(id)
		}
		check()
	}
	for len(times) > 0 { // also by its end a call leaves
		id, _, _ := table.FirstTime()
		table.Take(id)
		delete(times, id)
		check()
	}
}
