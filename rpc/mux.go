package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Mux is the answering side of typed calls: it finds the method that a call
// names. The same Mux serves on all three servers, and in a parent the calls of its child:
//
//	mux := rpc.NewMux()
//	Resize.Handle(mux, resize)
//	rpc.ServeSync(w, mux.Sync())
//	rpc.ServeGoroutines(w, mux.Goroutines(), 0)
//	rpc.ServeAsync(w, loop, mux.Async())
//	rpc.NewClient(proc, rpc.Config{OnCall: mux.Async()})
//
// All methods are registered before the first call is served; after that a Mux
// is immutable. What it cannot serve is answered with an error that the caller
// gets as a *MethodError; on AnyEvent's wires, which have no error replies, it
// ends the process like every other error.
type Mux struct {
	methods map[string]endpoint
}

// endpoint is a method with its handler, whatever their types.
type endpoint interface {
	codecName() string
	// serve handles a call, and waits if the handler is an asynchronous one. It
	// appends the reply to buf.
	serve(ctx context.Context, request, buf []byte) ([]byte, error)
	// begin handles a call on the loop; done is called now or later.
	begin(request []byte, done Done)
}

// NewMux returns a Mux without methods.
func NewMux() *Mux { return &Mux{methods: make(map[string]endpoint)} }

// Methods lists the names of the methods that are registered, sorted.
func (m *Mux) Methods() []string { return slices.Sorted(maps.Keys(m.methods)) }

// register panics if the name is taken: which handler would be meant?
func (m *Mux) register(name string, e endpoint) {
	if m.methods[name] != nil {
		panic(fmt.Sprintf("rpc: two handlers for method %q", name))
	}
	m.methods[name] = e
}

// Sync returns the Handler for one server's ServeSync, and only for that: it
// encodes all replies into the same buffer. Under ServeGoroutines all calls fail. It does not allocate.
func (m *Mux) Sync() Handler {
	var buf []byte
	return func(ctx context.Context, request Payload) (Payload, error) {
		if _, ok := ctx.(*goroutineCall); ok {
			return nil, errSyncMux
		}
		e, body, err := m.find(request)
		if err != nil {
			return nil, err
		}
		reply, err := e.serve(ctx, body, buf[:0])
		if err != nil {
			return nil, err
		}
		if cap(reply) <= bufferKept {
			buf = reply
		}
		return reply, nil
	}
}

// errSyncMux is for who gives ServeGoroutines the Handler of Sync, which compiles: now and then a call would have another's reply.
var errSyncMux = errors.New("rpc: this handler is Mux.Sync's, for ServeSync; that for ServeGoroutines is Mux.Goroutines'")

// Goroutines returns the Handler for ServeGoroutines. Each reply is allocated,
// since nobody can say here when it has been sent.
func (m *Mux) Goroutines() Handler {
	return func(ctx context.Context, request Payload) (Payload, error) {
		e, body, err := m.find(request)
		if err != nil {
			return nil, err
		}
		return e.serve(ctx, body, nil)
	}
}

// Async returns the AsyncHandler for ServeAsync, and for Config.OnCall. Handlers registered with Handle
// run on the loop, in place, and must not block.
func (m *Mux) Async() AsyncHandler {
	return func(request Payload, done Done) {
		e, body, err := m.find(request)
		if err != nil {
			done.Fail(err)
			return
		}
		e.begin(body, done)
	}
}

// find looks a call's method up.
func (m *Mux) find(request Payload) (endpoint, []byte, error) {
	name, body, codec, err := splitCall(request)
	if err != nil {
		return nil, nil, refuse(KindBadRequest, "not a typed call: %v", err)
	}
	e := m.methods[string(name)]
	if e == nil {
		return nil, nil, refuse(KindUnknownMethod, "the other side has %s", m.describe())
	}
	if len(codec) > 0 && string(codec) != e.codecName() {
		return nil, nil, refuse(KindCodecMismatch, "the caller encodes with %q, the other side with %q", codec[:min(len(codec), quoteLimit)], e.codecName())
	}
	return e, body, nil
}

// describe lists methods for an error, so that a slip of the pen is seen there.
func (m *Mux) describe() string {
	const most = 20
	names := m.Methods()
	switch {
	case len(names) == 0:
		return "no methods"
	case len(names) > most:
		return fmt.Sprintf("%d others", len(names))
	}
	return strings.Join(names, ", ")
}
