// Package gobecho is the child side of the net/rpc contestant: an echo service
// over two pipes, as one writes it with net/rpc and nothing else.
package gobecho

import (
	"errors"
	"net/rpc"
	"os"
	"runtime"
	"syscall"

	"github.com/evfork/evfork/bench/internal/record"
)

// Echo is the service. Its methods are called as Echo.Echo and so on.
type Echo struct{}

// Echo answers with what it was sent.
func (Echo) Echo(request []byte, reply *[]byte) error {
	*reply = request
	return nil
}

// Record answers with a struct.
func (Echo) Record(request *record.Record, reply *record.Record) error {
	*reply = *request
	return nil
}

// Allocations is what the child's allocator has done since its start.
type Allocations struct{ Mallocs, Bytes uint64 }

// Allocated lets the parent count the child's allocations.
func (Echo) Allocated(_ struct{}, reply *Allocations) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	*reply = Allocations{Mallocs: m.Mallocs, Bytes: m.TotalAlloc}
	return nil
}

// Serve reads calls from fd 3 and writes replies to fd 4, until EOF.
//
// It makes both non-blocking first, so that Go's netpoller serves them. That is
// net/rpc at its best: left blocking, each read holds a thread and its P until
// the runtime takes the P away; at GOMAXPROCS=1, one call at a time was four to
// fifteen times slower.
func Serve() error {
	if err := errors.Join(syscall.SetNonblock(3, true), syscall.SetNonblock(4, true)); err != nil {
		return err
	}
	return ServeBlocking()
}

// ServeBlocking is Serve on the descriptors as os/exec hands them down, which
// is what a child that uses its standard input and output gets.
func ServeBlocking() error {
	server := rpc.NewServer()
	if err := server.Register(Echo{}); err != nil {
		return err
	}
	server.ServeConn(pipePair{calls: os.NewFile(3, "calls"), replies: os.NewFile(4, "replies")})
	return nil
}

type pipePair struct{ calls, replies *os.File }

func (p pipePair) Read(b []byte) (int, error)  { return p.calls.Read(b) }
func (p pipePair) Write(b []byte) (int, error) { return p.replies.Write(b) }

func (p pipePair) Close() error {
	return errors.Join(p.calls.Close(), p.replies.Close())
}
