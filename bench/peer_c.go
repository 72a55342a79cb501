package main

import (
	"bytes"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
)

// The C baseline: raw pipes and framing, nothing else. It is the limit that
// the other contestants are held against. See cbase/cbase.c.

//go:embed cbase
var cbaseSources embed.FS

func buildCBase() (string, error) {
	sources, err := fs.Sub(cbaseSources, "cbase")
	if err != nil {
		return "", err
	}
	return buildC("cbase", sources)
}

// How much one read of the pipelined baseline takes. Large reads are the faster
// choice when the scheduler keeps parent and child on one CPU (24 against 16 M/s),
// small ones when it spreads them (20 against 8 M/s; both on a two-core VM). The
// limit is the faster of the two.
const (
	wholePipe = 64 << 10
	smallRead = 8 << 10
)

func addC(r *Registry) {
	r.Enter("R1", Contestant{Name: nameC, Calls: 8_000_000, Available: cAvailable, Run: cPipelined})
	for _, bulk := range bulkScenarios {
		r.Enter(bulk.id, Contestant{Name: nameC, Calls: bulk.calls, Available: cAvailable, Run: cBandwidth})
	}
	for _, id := range []string{"R3-sync", "R3-async"} {
		r.Enter(id, Contestant{Name: nameCEpoll, Calls: 8_000, Available: cAvailable, Run: cSerial("epoll")})
		r.Enter(id, Contestant{Name: "C, blocking", Calls: 8_000, Available: cAvailable, Run: cSerial("blocking")})
	}
	r.Enter("R7", Contestant{Name: nameC, Calls: 1, Available: cMemoryAvailable, Run: cMemory})
}

func cAvailable() error {
	_, err := buildCBase()
	return err
}

func cPipelined(s Sample) (Result, error) {
	// Half of the calls each, so that a sample lasts as long as the others.
	large, err := runC("pipelined", s.Calls/2, s.InFlight, s.Size, wholePipe)
	if err != nil {
		return Result{}, err
	}
	small, err := runC("pipelined", s.Calls/2, s.InFlight, s.Size, smallRead)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Value: max(large, small),
		Extra: map[string]float64{"64 KiB reads, calls/s": large, "8 KiB reads, calls/s": small},
	}, nil
}

// cBandwidth is cPipelined in bytes.
func cBandwidth(s Sample) (Result, error) {
	result, err := cPipelined(s)
	result.Value *= megabytes(s.Size)
	return result, err
}

func cSerial(waiting string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		took, err := runC("serial", s.Calls, s.Size, waiting)
		return Result{Value: took}, err
	}
}

// runC runs the baseline and returns its figure.
func runC(arguments ...any) (float64, error) {
	program, err := buildCBase()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program)
	for _, a := range arguments {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	return outputNumber(cmd)
}

func cMemoryAvailable() error {
	if err := canReadMemory(); err != nil {
		return err
	}
	return cAvailable()
}

func cMemory(s Sample) (Result, error) {
	program, err := buildCBase()
	if err != nil {
		return Result{}, err
	}
	child, err := startPiped(exec.Command(program, "worker", "3", "4"))
	if err != nil {
		return Result{}, err
	}
	call := binary.BigEndian.AppendUint32(nil, 1)
	call = binary.BigEndian.AppendUint32(call, uint32(s.Size))
	call = append(call, payload(s.Size)...)
	if _, err := child.Write(call); err != nil {
		return Result{}, err
	}
	reply := make([]byte, len(call))
	if _, err := io.ReadFull(child, reply); err != nil {
		return Result{}, err
	}
	if !bytes.Equal(reply, call) {
		return Result{}, errors.New("a reply differs from its call")
	}
	result, err := residentMemory(child.cmd.Process.Pid)
	if err != nil {
		return Result{}, err
	}
	return result, child.end()
}
