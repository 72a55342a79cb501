package pluginecho

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// netRPCPlugin is the service over net/rpc, with gob.
type netRPCPlugin struct{}

func (netRPCPlugin) Server(*plugin.MuxBroker) (any, error) { return &netRPCServer{}, nil }

func (netRPCPlugin) Client(_ *plugin.MuxBroker, client *rpc.Client) (any, error) {
	return netRPCClient{client}, nil
}

type netRPCServer struct{ echo }

// Echo is called as Plugin.Echo, the name that go-plugin gives to every service.
func (s *netRPCServer) Echo(request []byte, reply *[]byte) (err error) {
	*reply, err = s.echo.Echo(request)
	return err
}

type netRPCClient struct{ client *rpc.Client }

func (c netRPCClient) Echo(request []byte) (reply []byte, err error) {
	err = c.client.Call("Plugin.Echo", request, &reply)
	return reply, err
}
