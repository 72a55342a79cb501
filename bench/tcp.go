package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// E1 and E2: a server with one loop echoes what fifty connections send, over TCP. It is a process of its own, and so is the client,
// which is the same for all: cloop/tcp_client.c.

const (
	tcpConnections = 50
	tcpVariable    = "EVFORK_BENCH_TCP_PORT" // of the server's environment
	tcpServerCPU   = "server µs/message"     // CPU time, its start included
)

// tcpScenarios differ in how many messages of a connection are on their way.
var tcpScenarios = []struct {
	id, title string
	depth     int
	messages  int // of a full sample
	targets   []Target
}{
	{"E1", "echo over TCP, 50 connections, 64 bytes, one message at a time", 1, 60_000, []Target{
		{Of: nameEvfork, To: nameGnet, Bound: AtLeast, Must: 1.08},
		{Of: nameEvfork, To: nameLibuv, Bound: AtLeast, Must: 0.92, Aim: 1},
		{Of: nameEvioOnEvfork, To: nameEvio, Bound: AtLeast, Must: 1.15},
	}},
	{"E2", "echo over TCP, 50 connections, 64 bytes, 32 messages on their way", 32, 1_500_000, []Target{
		{Of: nameEvfork, To: nameGnet, Bound: AtLeast, Must: 1},
		{Of: nameEvfork, To: nameLibuv, Bound: AtLeast, Must: 0.95, Aim: 1},
		{Of: nameEvioOnEvfork, To: nameEvio, Bound: AtLeast, Must: 1.15},
	}},
}

func addTCPScenarios(r *Registry) {
	for _, t := range tcpScenarios {
		r.AddScenario(Scenario{
			ID: t.id, Title: t.title,
			Unit: "messages/s", HigherIsBetter: true, Reference: nameLibuv,
			InFlight: t.depth, Size: 64, Targets: t.targets,
		})
	}
}

// enterTCP enters a server that is a worker of this program, or a program in C.
func enterTCP(r *Registry, name string, inGo bool, available func() error, server func() (*exec.Cmd, error)) {
	for _, t := range tcpScenarios {
		r.Enter(t.id, Contestant{
			Name: name, Calls: t.messages, GoParent: inGo,
			Available: func() error {
				_, err := tcpClient()
				return errors.Join(err, available())
			},
			Run: func(s Sample) (Result, error) {
				cmd, err := server()
				if err != nil {
					return Result{}, err
				}
				return echoOverTCP(cmd, s)
			},
		})
	}
}

// addTCPServer enters a server written in Go, which serves until its process is killed.
func addTCPServer(r *Registry, name string, serve func(address string) error) {
	worker := "tcp " + name
	r.AddWorker(worker, func() error { return serve("127.0.0.1:" + os.Getenv(tcpVariable)) })
	always := func() error { return nil }
	enterTCP(r, name, true, always, func() (*exec.Cmd, error) { return workerCommand(worker) })
}

// addTCPInC enters what stands in the same C as the loops.
func addTCPInC(r *Registry) {
	for _, c := range []struct {
		name, program string
		flags         []string
	}{
		{"epoll (C)", "tcp_epoll", nil},
		{nameLibuv, "tcp_libuv", []string{"-luv", "-lm", "-lpthread"}},
	} {
		program := func() (string, error) { return tcpProgram(c.program, c.flags...) }
		available := func() error {
			_, err := program()
			return err
		}
		enterTCP(r, c.name, false, available, func() (*exec.Cmd, error) {
			path, err := program()
			return exec.Command(path), err
		})
	}
}

func tcpProgram(name string, flags ...string) (string, error) {
	sources, err := fs.Sub(cloopSources, "cloop")
	if err != nil {
		return "", err
	}
	return buildC(name, sources, flags...)
}

func tcpClient() (string, error) { return tcpProgram("tcp_client") }

// echoOverTCP starts the server, has the client measure, and kills the server.
func echoOverTCP(server *exec.Cmd, s Sample) (Result, error) {
	port, err := freePort()
	if err != nil {
		return Result{}, err
	}
	server.Args = append(server.Args, port)
	server.Env = append(server.Environ(), tcpVariable+"="+port)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return Result{}, err
	}
	rate, err := askClient(port, s)
	killed := server.Process.Kill()
	_ = server.Wait() // says that it was killed
	if err := errors.Join(err, killed); err != nil {
		return Result{}, err
	}
	used := server.ProcessState.UserTime() + server.ProcessState.SystemTime()
	perMessage := used.Seconds() * 1e6 / float64(s.Calls+s.Calls/10+1)
	return Result{Value: rate, Extra: map[string]float64{tcpServerCPU: perMessage}}, nil
}

func askClient(port string, s Sample) (float64, error) {
	if err := awaitServer("127.0.0.1:" + port); err != nil {
		return 0, err
	}
	client, err := tcpClient()
	if err != nil {
		return 0, err
	}
	return outputNumber(exec.Command(client, port, strconv.Itoa(tcpConnections), fmt.Sprint(s.Size), fmt.Sprint(s.InFlight), fmt.Sprint(s.Calls)))
}

// freePort is one that nobody listens on; not all contestants say which one the kernel has chosen for them.
func freePort() (string, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}

// awaitServer tries until somebody listens, which nothing tells: ten seconds are for a machine that is very busy.
func awaitServer(address string) error {
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		connection, err := net.Dial("tcp4", address)
		if err == nil {
			return connection.Close()
		}
		if time.Since(began) > 10*time.Second {
			return fmt.Errorf("the server does not listen: %w", err)
		}
	}
}
