// Package pluginecho is the echo service of the go-plugin contestants, as that
// library wants it written: an interface, and for each of its two protocols a plugin
// that serves it and makes clients of it.
package pluginecho

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Echoer is the service.
type Echoer interface {
	// Echo answers with what it was sent.
	Echo(request []byte) ([]byte, error)
}

// Name is the service's among the plugins of a worker.
const Name = "echo"

// Handshake is what host and worker have to agree on.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "EVFORK_BENCH_PLUGIN", MagicCookieValue: Name}
}

// Plugins are the services by name.
func Plugins(protocol plugin.Protocol) plugin.PluginSet {
	if protocol == plugin.ProtocolGRPC {
		return plugin.PluginSet{Name: grpcPlugin{}}
	}
	return plugin.PluginSet{Name: netRPCPlugin{}}
}

// Serve is all that a worker does.
func Serve(protocol plugin.Protocol) {
	config := plugin.ServeConfig{
		HandshakeConfig: Handshake(),
		Plugins:         Plugins(protocol),
		Logger:          hclog.NewNullLogger(),
	}
	if protocol == plugin.ProtocolGRPC {
		config.GRPCServer = plugin.DefaultGRPCServer
	}
	plugin.Serve(&config)
}

// echo is the service itself.
type echo struct{}

func (echo) Echo(request []byte) ([]byte, error) { return request, nil }
