package reactor_test

import (
	"cmp"
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
// moving and removing. The deadlines are few, so that many are equal.
func TestHeapIsAStableSort(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var heap reactor.Heap
		var model []*entry
		for seq := range 200 {
			switch op := rnd.IntN(4); {
			case op < 2 || len(model) == 0:
				when := rnd.Int64N(10)
				model = append(model, &entry{when, seq, seq, heap.Add(when, seq)})
			case op == 2:
				e := model[rnd.IntN(len(model))]
				e.when, e.seq = rnd.Int64N(10), seq
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
		slices.SortFunc(model, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(a.when, b.when), cmp.Compare(a.seq, b.seq))
		})
		for i, e := range model {
			if got := heap.Pop(); got != e.number {
				t.Fatalf("seed %d: timer %d comes out in place %d, want %d", seed, got, i, e.number)
			}
		}
	}
}
