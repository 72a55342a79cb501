package rpc_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// TestTortureOrders takes longer orders at random; see eachSeed for how many and for repeating them.
func TestTortureOrders(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64, _ int) {
		random := rand.New(rand.NewPCG(seed, 0))
		tortureUpcalls(t, random)
		synctest.Test(t, func(t *testing.T) {
			tortureCalls(t, random)
			tortureFanOuts(t, random)
		})
	})
}
