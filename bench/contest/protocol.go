package main

import "time"

// The driver and a server talk in lines of JSON: commands come on the server's
// standard input, messages leave on controlFD, since libraries log to standard
// output and standard error.
const controlFD = 3

// serverVariable makes a process a server; its value is the Order.
const serverVariable = "EVFORK_CONTEST_SERVER"

// An Order is what a server process is started for.
type Order struct {
	Contestant string `json:"contestant"`
	Role       role   `json:"role"`
	Network    string `json:"network"` // tcp or unix
	Address    string `json:"address"` // host:port or a path
	Seed       uint64 `json:"seed"`
	Size       int    `json:"size,omitempty"`    // of the answer, or of what a sink will get
	Buffers    int    `json:"buffers,omitempty"` // for roleVector
	AtOnce     bool   `json:"atOnce,omitempty"`  // stop as soon as it serves

	// Settle is how long goroutines and descriptors may take to go away after the
	// library's serving function has returned.
	Settle time.Duration `json:"settle"`
	Files  uint64        `json:"files,omitempty"` // RLIMIT_NOFILE; 0: as it is
}

// A Command is what the driver asks of a running server.
type Command struct {
	Do    string `json:"do"`
	Total int64  `json:"total,omitempty"` // do=report: how long each stream was to be
}

const (
	doPing   = "ping"
	doReport = "report"
	doMemory = "memory" // collect garbage first
	doStop   = "stop"   // from a goroutine that is not the library's
	doExec   = "exec"   // start a child and say what it has inherited
)

// A Message is what the server says; one of its fields is set.
type Message struct {
	Serving   bool      `json:"serving,omitempty"`
	Alive     *Alive    `json:"alive,omitempty"`
	Summary   *Summary  `json:"summary,omitempty"`
	Memory    *Memory   `json:"memory,omitempty"`
	Inherited *[]string `json:"inherited,omitempty"`
	Ended     *Ending   `json:"ended,omitempty"`
	Failed    string    `json:"failed,omitempty"` // the command, not the library
}

// Alive is the answer of a server that runs.
type Alive struct {
	Returned bool `json:"returned"` // the library's serving function; an Ending will follow
}

// A Summary is the server's ledger.
type Summary struct {
	Opened   int     `json:"opened"`
	Closed   int     `json:"closed"`
	Doubled  int     `json:"doubled"`
	Received int64   `json:"received"`
	Stream   Verdict `json:"stream"` // the worst of all connections
}

// Memory is the server's, after a garbage collection.
type Memory struct {
	Heap uint64 `json:"heap"` // bytes of objects
}

// An Ending is what the library's serving function left when it returned.
type Ending struct {
	Err         string `json:"err,omitempty"`
	Goroutines  int    `json:"goroutines"`  // more than before it was called
	Descriptors int    `json:"descriptors"` // likewise
}
