package main

// payloadSize is what a call of the small scenarios carries, each way: the size
// of a short path or a key, where the cost per call is all there is.
const payloadSize = 32

// The names by which scenarios point at their reference.
const (
	nameC       = "C"
	nameCEpoll  = "C, epoll"
	nameNetRPC  = "net/rpc"
	perSecond   = "calls/s"
	roundTripµs = "µs"
)

// machineProcs is FixedProcs for figures that GOMAXPROCS does not move.
var machineProcs = []int{0}

func addScenarios(r *Registry) {
	r.AddScenario(Scenario{
		ID: "R1", Title: "callbacks on the loop, 1,000 calls in flight, 32 bytes",
		Unit: perSecond, HigherIsBetter: true, Reference: nameC,
		InFlight: 1000, Size: payloadSize, OneCPU: true,
	})
	r.AddScenario(Scenario{
		ID: "R2", Title: "1,000 goroutines in a blocking Call, 32 bytes",
		Unit: perSecond, HigherIsBetter: true, Reference: nameNetRPC,
		InFlight: 1000, Size: payloadSize, OneCPU: true,
	})
	r.AddScenario(Scenario{
		ID: "R3-sync", Title: "one call at a time from the loop, sync worker, 32 bytes",
		Unit: roundTripµs, Reference: nameCEpoll,
		InFlight: 1, Size: payloadSize, OneCPU: true,
	})
	r.AddScenario(Scenario{
		ID: "R3-async", Title: "one call at a time from the loop, async worker, 32 bytes",
		Unit: roundTripµs, Reference: nameCEpoll,
		InFlight: 1, Size: payloadSize, OneCPU: true,
	})
	r.AddScenario(Scenario{
		ID: "R5", Title: "allocations per call, parent and child together, 1,000 in flight, 32 bytes",
		Unit: "allocs/call", Reference: nameNetRPC,
		InFlight: 1000, Size: payloadSize, FixedProcs: machineProcs,
	})
	r.AddScenario(Scenario{
		ID: "R7", Title: "resident memory of a minimal worker after one call",
		Unit: "kB", Reference: nameNetRPC,
		InFlight: 1, Size: payloadSize, FixedProcs: machineProcs,
	})
	r.AddScenario(Scenario{
		ID: "R9", Title: "one goroutine in a blocking Call, 32 bytes",
		Unit: perSecond, HigherIsBetter: true, Reference: nameNetRPC,
		InFlight: 1, Size: payloadSize, OneCPU: true,
	})
}
