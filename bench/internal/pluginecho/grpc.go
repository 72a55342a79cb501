package pluginecho

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// grpcPlugin is the service over gRPC. Request and reply are protobuf's own message of one
// field of bytes, so that no code has to be generated: what is below is what
// protoc-gen-go-grpc would write.
type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*Echoer)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handleEcho}},
	}, echo{})
	return nil
}

func (grpcPlugin) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return grpcClient{ctx, conn}, nil
}

func handleEcho(service any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	request := new(wrapperspb.BytesValue)
	if err := decode(request); err != nil {
		return nil, err
	}
	handle := func(_ context.Context, request any) (any, error) {
		reply, err := service.(Echoer).Echo(request.(*wrapperspb.BytesValue).GetValue())
		return &wrapperspb.BytesValue{Value: reply}, err
	}
	if intercept == nil {
		return handle(ctx, request)
	}
	return intercept(ctx, request, &grpc.UnaryServerInfo{Server: service, FullMethod: methodEcho}, handle)
}

const methodEcho = "/bench.Echo/Echo"

type grpcClient struct {
	ctx  context.Context // ends with the worker
	conn *grpc.ClientConn
}

func (c grpcClient) Echo(request []byte) ([]byte, error) {
	reply := new(wrapperspb.BytesValue)
	if err := c.conn.Invoke(c.ctx, methodEcho, &wrapperspb.BytesValue{Value: request}, reply); err != nil {
		return nil, err
	}
	return reply.GetValue(), nil
}
