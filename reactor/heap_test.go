package reactor_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/evfork/evfork/reactor"
)

// entry is a timer in the model of the heap: a list to be sorted.
type entry struct {
	when   int64
	seq    int
	number int
	timer  *reactor.Timer
}

// TestHeapIsAStableSort compares the heap with a sorted list over random adding,
// moving, removing and taking what is due. The deadlines are few, so that many are
// equal. They are not before the time, which goes on now and then.
func TestHeapIsAStableSort(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var heap reactor.Heap
		var model []*entry
		now := int64(0)
		for seq := range 400 {
			switch op := rnd.IntN(12); {
			case op == 0:
				now += rnd.Int64N(8)
				heap.TakeDue(now)
			case op < 6 || len(model) == 0:
				when := now + rnd.Int64N(10)
				model = append(model, &entry{when, seq, seq, heap.Add(when, seq)})
			case op < 9:
				e := model[rnd.IntN(len(model))]
				e.when, e.seq = now+rnd.Int64N(10), seq
				heap.Move(e.timer, e.when)
			default:
				i := rnd.IntN(len(model))
				heap.Remove(model[i].timer)
				model = slices.Delete(model, i, i+1)
			}
			if err := heap.Verify(); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, seq, err)
			}
		}
		slices.SortFunc(model, byDeadline)
		for i, e := range model {
			if got := heap.Pop(); got != e.number {
				t.Fatalf("seed %d: timer %d comes out in place %d, want %d", seed, got, i, e.number)
			}
		}
	}
}

func byDeadline(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.when, b.when), cmp.Compare(a.seq, b.seq))
}

// burstOrders are deadlines of bursts, in the order of the starts, below a number.
var burstOrders = map[string]func(i, count int, rnd *rand.Rand) int{
	"ascending":     func(i, _ int, _ *rand.Rand) int { return i },
	"descending":    func(i, count int, _ *rand.Rand) int { return count - 1 - i },
	"random":        func(_, count int, rnd *rand.Rand) int { return rnd.IntN(count) },
	"equal":         func(_, _ int, _ *rand.Rand) int { return 0 },
	"two":           func(i, count int, _ *rand.Rand) int { return i % 2 * (count - 1) },
	"sawtooth":      func(i, _ int, _ *rand.Rand) int { return i % 5000 },
	"organ pipes":   func(i, count int, _ *rand.Rand) int { return min(i, count-1-i) },
	"nearly sorted": func(i, _ int, rnd *rand.Rand) int { return max(i-rnd.IntN(3)*rnd.IntN(50), 0) },
	"one far ahead": func(i, count int, _ *rand.Rand) int { return (i + 1) % count },
}

// TestBurstComesOutSorted takes bursts of many shapes, out of a heap that has
// nothing else and out of one that has as much that is not due, removes and moves
// some meanwhile, and compares the rest with a sorted list.
func TestBurstComesOutSorted(t *testing.T) {
	const count = 20_000
	for name, order := range burstOrders {
		for _, late := range []int{0, 1, count} {
			t.Run(fmt.Sprintf("%s, %d not due", name, late), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(1, 1))
				var heap reactor.Heap
				var model []*entry
				add := func(when int64) {
					number := len(model)
					model = append(model, &entry{when, number, number, heap.Add(when, number)})
				}
				for i := range count {
					add(int64(order(i, count, rnd)))
					if i < late {
						add(count + int64(order(i, count, rnd)))
					}
				}
				heap.TakeDue(count - 1)
				if n := heap.InBurst(); n != count {
					t.Fatalf("%d of %d are in the burst", n, count)
				}
				popAll(t, &heap, model, rnd)
			})
		}
	}
}

// popAll empties the heap, and in between removes or moves what is still in it.
func popAll(t *testing.T, heap *reactor.Heap, model []*entry, rnd *rand.Rand) {
	t.Helper()
	everything := slices.Clone(model)
	slices.SortFunc(model, byDeadline)
	gone := make(map[*entry]bool)
	seq := len(model)
	var moved []*entry
	for step := 0; len(model) > 0; step++ {
		if e := model[0]; gone[e] {
			model = model[1:]
			continue
		}
		if got := heap.Pop(); got != model[0].number {
			t.Fatalf("timer %d comes out in step %d, want %d", got, step, model[0].number)
		}
		gone[model[0]] = true
		if e := everything[rnd.IntN(len(everything))]; !gone[e] && rnd.IntN(4) == 0 {
			gone[e] = true
			if heap.Remove(e.timer); rnd.IntN(2) == 0 {
				heap.Move(e.timer, 1<<40)
				moved = append(moved, &entry{1 << 40, seq, e.number, e.timer})
				seq++
			}
		}
		if step%1000 == 0 {
			must(t, heap.Verify())
		}
	}
	for _, e := range moved {
		if got := heap.Pop(); got != e.number {
			t.Fatalf("moved timer %d comes out, want %d", got, e.number)
		}
	}
	if n := heap.Len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}
