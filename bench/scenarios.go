package main

// payloadSize is what a call of the small scenarios carries, each way: the size
// of a short path or a key, where the cost per call is all there is.
const payloadSize = 32

// The names by which scenarios point at their reference, and targets at whom
// they compare with.
const (
	nameC             = "C"
	nameCEpoll        = "C, epoll"
	nameNetRPC        = "net/rpc"
	namePluginNetRPC  = "go-plugin, net/rpc"
	nameAnyEventAsync = "AnyEvent::Fork::RPC, async"
	nameEvforkAlone   = nameEvfork + ", the worker alone"
)

const (
	perSecond     = "calls/s"
	perSecondSize = "MB/s"
	roundTripµs   = "µs"
	parentAllocs  = "parent allocs/call"
	anonymous     = "anon kB"
)

// noAllocation is what a target of none comes to: what is allocated once, as
// tables grow to their size, is spread over the calls of a sample.
const noAllocation = 0.001

// machineProcs is FixedProcs for figures that GOMAXPROCS does not move.
var machineProcs = []int{0}

// bulkScenarios are R4: so many calls in flight that the pipe never runs dry.
var bulkScenarios = []struct {
	id, title      string
	inFlight, size int
	calls          int // of a full sample, by the fast contestants
}{
	{"R4-4k", "callbacks on the loop, 64 calls in flight, 4 KiB", 64, 4 << 10, 60_000},
	{"R4-64k", "callbacks on the loop, 8 calls in flight, 64 KiB", 8, 64 << 10, 4_000},
	{"R4-1M", "callbacks on the loop, 4 calls in flight, 1 MiB", 4, 1 << 20, 250},
}

func addScenarios(r *Registry) {
	r.AddScenario(Scenario{
		ID: "R1", Title: "callbacks on the loop, 1,000 calls in flight, 32 bytes",
		Unit: perSecond, HigherIsBetter: true, Reference: nameC,
		InFlight: 1000, Size: payloadSize, OneCPU: true,
		Targets: []Target{
			{Of: nameEvfork, To: nameC, Bound: AtLeast, Must: 0.25, Aim: 0.5},
			{Of: nameEvfork, To: nameAnyEventAsync, Bound: AtLeast, Must: 20},
		},
	})
	r.AddScenario(Scenario{
		ID: "R2", Title: "1,000 goroutines in a blocking Call, 32 bytes",
		Unit: perSecond, HigherIsBetter: true, Reference: nameNetRPC,
		InFlight: 1000, Size: payloadSize, OneCPU: true,
		Targets: []Target{
			{Of: nameEvfork, To: nameNetRPC, Bound: AtLeast, Must: 14},
			{Of: nameEvfork, To: namePluginNetRPC, Bound: AtLeast, Must: 40},
			// One, and the start of a thousand goroutines spread over the sample.
			{Of: nameEvfork, Figure: parentAllocs, Bound: AtMost, Must: 1.02},
		},
	})
	for _, kind := range []string{"sync", "async"} {
		r.AddScenario(Scenario{
			ID: "R3-" + kind, Title: "one call at a time from the loop, " + kind + " worker, 32 bytes",
			Unit: roundTripµs, Reference: nameCEpoll,
			InFlight: 1, Size: payloadSize, OneCPU: true,
			Targets: []Target{{Of: nameEvfork, To: nameCEpoll, Bound: AtMost, Must: 1.5, Aim: 1.2}},
		})
	}
	for _, bulk := range bulkScenarios {
		r.AddScenario(Scenario{
			ID: bulk.id, Title: bulk.title,
			Unit: perSecondSize, HigherIsBetter: true, Reference: nameC,
			InFlight: bulk.inFlight, Size: bulk.size, FixedProcs: machineProcs, OneCPU: true,
			Targets: []Target{{Of: nameEvfork, To: nameC, Bound: AtLeast, Must: 0.75, Aim: 0.95}},
		})
	}
	r.AddScenario(Scenario{
		ID: "R5", Title: "allocations per call, parent and child together, 1,000 in flight, 32 bytes",
		Unit: "allocs/call", Reference: nameNetRPC,
		InFlight: 1000, Size: payloadSize, FixedProcs: machineProcs,
		Targets: []Target{{Of: nameEvfork, Bound: AtMost, Must: noAllocation}},
	})
	r.AddScenario(Scenario{
		ID: "R6", Title: "1,000 goroutines in a typed method: a struct of five fields, CBOR against gob",
		Unit: perSecond, HigherIsBetter: true, Reference: nameNetRPC,
		InFlight: 1000, FixedProcs: machineProcs, OneCPU: true,
		Targets: []Target{{Of: nameEvfork, To: nameNetRPC, Bound: AtLeast, Must: 3.5, Aim: 5}},
	})
	addScenariosOfSetUp(r)
	r.AddScenario(Scenario{
		ID: "R9", Title: "one goroutine in a blocking Call, 32 bytes",
		Unit: perSecond, HigherIsBetter: true, Reference: nameNetRPC,
		InFlight: 1, Size: payloadSize, OneCPU: true,
		Targets: []Target{{Of: nameEvfork, To: nameNetRPC, Bound: AtLeast, Must: 2.5}},
	})
}

// addScenariosOfSetUp adds those in which not the calls are special, but the
// workers.
func addScenariosOfSetUp(r *Registry) {
	r.AddScenario(Scenario{
		ID: "R7", Title: "resident memory of a minimal worker after one call",
		Unit: "kB", Reference: nameNetRPC,
		InFlight: 1, Size: payloadSize, FixedProcs: machineProcs,
		Targets: []Target{
			{Of: nameEvforkSync, Bound: AtMost, Must: 3000},
			{Of: nameEvforkAsync, Bound: AtMost, Must: 3420},
			{Of: nameEvfork, Figure: anonymous, Bound: AtMost, Must: 1000},
		},
	})
	r.AddScenario(Scenario{
		ID: "R8", Title: "one call at a time to one worker, with 500 idle ones on the same loop",
		Unit: roundTripµs, Reference: nameEvforkAlone,
		InFlight: 1000, Size: payloadSize, FixedProcs: machineProcs, OneCPU: true,
		Targets: []Target{
			{Of: nameEvforkAmong, To: nameEvforkAlone, Bound: AtMost, Must: 1.2, Aim: 1.05},
			{Of: nameEvforkAmong, Figure: crowdBulk, To: nameEvforkAlone, Bound: AtMost, Must: 1.2, Aim: 1.05},
		},
	})
}
