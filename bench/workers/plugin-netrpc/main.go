// Command plugin-netrpc is the worker of the go-plugin contestant over net/rpc.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/evfork/evfork/bench/internal/pluginecho"
)

func main() { pluginecho.Serve(plugin.ProtocolNetRPC) }
