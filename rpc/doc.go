// Package rpc calls functions in a child process over pipes watched by a
// reactor.Loop: AnyEvent::Fork::RPC's model, and its wire.
//
// The parent has a Client for each child. Calls are queued and pipelined,
// replies may come in any order, the child can send events:
//
//	client, err := rpc.NewClient(proc, rpc.Config{OnEvent: …})
//	err = client.Go(func(reply rpc.Payload, err error) { … }, "add", "1", "3") // on the loop
//	reply, err := client.Call(ctx, "add", "1", "3")                            // from any goroutine
//
// The child runs one of three servers:
//
//   - ServeSync: one call at a time, no loop. The smallest and, for short jobs,
//     the fastest.
//   - ServeAsync: calls are begun at once on a loop and end when their Done is
//     called, in any order.
//   - ServeGoroutines: a goroutine for each call, with a limit.
//
// # The end of a call
//
// Every call ends exactly once: with its reply; with a *RemoteError if the
// handler returned an error or panicked; with ErrDeadline or ErrCanceled, after which the
// child is told and its late answer dropped; or with a *LostError if the child went
// away, which says why and whether the call may have been started. A child that
// violates the protocol is put down, and its calls are lost with that as the
// cause. A call that returns an error itself has not been made, and its
// callback is not called.
//
// Shutdown lets a child finish: what it was asked is answered, then it exits.
//
// # Streamed calls
//
// A request and a reply can come in parts, of which neither side has to hold more than a
// window: whoever takes them grants the other side credit.
//
//	s := client.CallStream(ctx, rpc.StreamOptions{Input: true}, payload) // a goroutine of the parent
//	go func() { s.Send(part); s.CloseSend() }()
//	for part, err := range s.Parts() { … }
//	reply, err := s.Reply()
//
//	for part, err := range rpc.Parts(ctx) { … } // the handler
//	err := rpc.SendPart(ctx, part)
//
// On a loop the same is done with callbacks: GoStream in the parent, Done in the child. A
// StreamMethod is a Method with types for the parts.
//
// # Typed calls
//
// A Method is declared once for both sides, with the types of its request and its
// reply and a Codec (packages below rpc/codec). The child serves methods by a Mux:
//
//	var Resize = rpc.NewMethod[Size, Size]("resize", jsoncodec.Codec{})
//
//	size, err := Resize.Call(ctx, client, Size{640, 480}) // the parent
//
//	mux := rpc.NewMux() // the child
//	Resize.Handle(mux, func(ctx context.Context, s Size) (Size, error) { … })
//	err := rpc.ServeSync(w, mux.Sync())
//
// FanOut has a sequence of jobs done by several children.
//
// # Calls to the parent
//
// A child can call its parent, which says with Config.OnCall that it takes calls:
//
//	client, err := rpc.NewClient(proc, rpc.Config{OnCall: mux.Async()}) // the parent
//
//	secret, err := Secret.CallParent(ctx, "name") // a handler of ServeSync or ServeGoroutines
//	err := Secret.GoParent(server, "name", func(secret string, err error) { … }) // on the loop of ServeAsync
//
// They end like other calls. If the parent is gone, or shuts down while one is open, that
// ends with a *LostError that is ErrShutdown.
//
// # Which function
//
// Go… queues a call and returns; it belongs to the loop's goroutine, on which the end of the
// call is told. Call… waits for the end; it is for every other goroutine. (Of a call in parts it is the
// stream that waits.)
//
//	                           STRING list       bytes             types
//	parent, on the loop        Client.Go         Client.GoBytes    Method.Go
//	- without a closure        Client.GoTo       Client.GoBytesTo
//	- deadline, Cancel                           Client.GoWith     Method.GoWith
//	- in parts                                   Client.GoStream   StreamMethod.Go
//	parent, a goroutine        Client.Call       Client.CallBytes  Method.Call
//	- in parts                                   Client.CallStream StreamMethod.Call
//	- a sequence of jobs                                           Method.FanOut
//	child, a handler           CallParent        CallParentBytes   Method.CallParent
//	child, on its loop         Server.GoParent   GoParentBytes     Method.GoParent
//	- deadline, CancelParent                     GoParentWith
//
// Go refuses a call for which there is no room (ErrFull; WaitReady tells when to go on), Call
// waits for it. Call has its deadline, and its cancel, from its ctx.
//
// # Costs
//
//	a call, its reply, an event       constant
//	a deadline, a cancel              logarithmic in the calls that have deadlines
//	a cancel that reaches a server    ServeSync: constant; the others: linear in the calls they have, at most
//	the end of a child                n log n of its calls in flight
//
// # Bytes
//
// A Payload given to a callback or handler is a view that is valid until that returns; what Call
// returns is the caller's own. Nothing is allocated per call by Go, GoTo and the servers ServeSync
// and ServeAsync in steady state, nor by typed calls beyond what their codecs do; Call allocates
// the reply, and a typed one that is small does not (MethodlessCodec).
//
// docs/protocol.md states every byte of the wires.
package rpc
