package main

import (
	"os/exec"
	"strconv"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/evfork/evfork/bench/internal/pluginecho"
)

// hashicorp/go-plugin, over each of its protocols: a worker is a program of its own
// that is called through a Unix socket.

type goPlugin struct {
	contestant string
	worker     string
	protocol   plugin.Protocol
}

func addGoPlugin(r *Registry) {
	for _, p := range []goPlugin{
		{namePluginNetRPC, "plugin-netrpc", plugin.ProtocolNetRPC},
		{"go-plugin, gRPC", "plugin-grpc", plugin.ProtocolGRPC},
	} {
		enter := func(scenario string, calls int, available func() error, run func(Sample) (Result, error)) {
			r.Enter(scenario, Contestant{Name: p.contestant, Calls: calls, GoParent: true, Available: available, Run: run})
		}
		enter("R2", 15_000, p.available, p.throughput)
		enter("R4-4k", 8_000, p.available, p.bandwidth)
		enter("R4-64k", 1_200, p.available, p.bandwidth)
		enter("R4-1M", 60, p.available, p.bandwidth)
		enter("R7", 1, p.memoryAvailable, p.memory)
		enter("R9", 3_000, p.available, p.throughput)
	}
}

func (p goPlugin) available() error { return buildWorker(p.worker) }

func (p goPlugin) memoryAvailable() error {
	if err := canReadMemory(); err != nil {
		return err
	}
	return p.available()
}

// start starts the worker; Kill of the host ends it, if need be after two seconds.
func (p goPlugin) start() (*plugin.Client, pluginecho.Echoer, error) {
	program, err := workerProgram(p.worker)
	if err != nil {
		return nil, nil, err
	}
	host := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  pluginecho.Handshake(),
		Plugins:          pluginecho.Plugins(p.protocol),
		Cmd:              exec.Command(program),
		AllowedProtocols: []plugin.Protocol{p.protocol},
		Logger:           hclog.NewNullLogger(),
	})
	service, err := p.dispense(host)
	if err != nil {
		host.Kill()
		return nil, nil, err
	}
	return host, service, nil
}

func (p goPlugin) dispense(host *plugin.Client) (pluginecho.Echoer, error) {
	protocol, err := host.Client()
	if err != nil {
		return nil, err
	}
	service, err := protocol.Dispense(pluginecho.Name)
	if err != nil {
		return nil, err
	}
	return service.(pluginecho.Echoer), nil
}

func (p goPlugin) throughput(s Sample) (Result, error) {
	m, err := p.measured(s)
	return m.throughput(), err
}

func (p goPlugin) bandwidth(s Sample) (Result, error) {
	m, err := p.measured(s)
	return m.bandwidth(s.Size), err
}

// measured is a sample of InFlight goroutines that call.
func (p goPlugin) measured(s Sample) (measurement, error) {
	host, service, err := p.start()
	if err != nil {
		return measurement{}, err
	}
	defer host.Kill()
	call := pluginEcho(service, s)
	return measure(s.Calls, func(calls int) error {
		return inGoroutines(s.InFlight, calls, func() func() error { return call })
	})
}

// pluginEcho makes a caller that sends bytes.
func pluginEcho(service pluginecho.Echoer, s Sample) func() error {
	echo := &echoCheck{request: payload(s.Size)}
	return func() error {
		reply, err := service.Echo(echo.request)
		if err != nil {
			return err
		}
		return echo.check(reply)
	}
}

func (p goPlugin) memory(s Sample) (Result, error) {
	host, service, err := p.start()
	if err != nil {
		return Result{}, err
	}
	defer host.Kill()
	if err := pluginEcho(service, s)(); err != nil {
		return Result{}, err
	}
	pid, err := strconv.Atoi(host.ID())
	if err != nil {
		return Result{}, err
	}
	return residentMemory(pid)
}
