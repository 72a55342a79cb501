package rpc

import (
	"errors"
	"fmt"

	"github.com/evfork/evfork/internal/callback"
)

// The end of a client: Shutdown, which leads to it, and the transport's last word.

// Shutdown takes no more calls. The child finishes those it has, answers, and
// exits; then OnDestroy is called. Streamed calls go on to their end, with all their parts. A
// child that does not exit by itself once it has answered is ended by the transport (for
// processes: the ladder).
//
// Of calls that were cancelled before, the child is told; but its input is then closed, unless OnCall is set or
// streamed calls go on, and of a later cancel it is not told. So whoever wants calls to end cancels them first (those of
// goroutines by their ctx, and waits until Call has returned), or sets Config.AbandonTimeout.
//
// With Config.OnCall the child's own calls are answered until it has answered ours, and what was
// answered is written; those that it has open then end with ErrShutdown.
func (c *Client) Shutdown() {
	if c.closing || c.endErr != nil {
		return
	}
	c.closing = true
	callback.InTurn(func() { c.refuse(ErrShutdown) }, c.closeInput, c.checkDone)
}

// checkDone stops the child when it has nothing left to do for us. A streamed call that was cancelled, and answered before
// its caller was told, may be open: the end of its parts is owed.
func (c *Client) checkDone() {
	if c.closing && !c.stopping && c.calls.count == 0 && c.streams.open == 0 && c.endErr == nil {
		c.stopping = true
		c.closeAfter(c.upcalls.unsent) // now, if the child's calls were still answered
		c.upcalls.unsent, c.upcalls.owed = nil, 0
		c.transport.Stop()
	}
}

// end is the transport's last word: nothing more will come.
func (c *Client) end(cause error) {
	if c.endErr != nil {
		return
	}
	n := c.decoder.pending()
	truncated := n > 0 && !c.broken
	if truncated {
		cause = fmt.Errorf("%w; its output ended in the middle of a frame, after %d bytes", cause, n)
	}
	failed := c.failed != nil && !errors.Is(cause, c.failed)
	if failed { // the child saw an EOF, and may have exited as if that were all
		cause = fmt.Errorf("%w; its connection had failed here: %w", cause, c.failed)
	}
	c.stopTimer()
	consumed := c.stream.Accepted() - uint64(c.stream.Unread())
	lost := c.calls.drain()
	c.endErr = &LostError{Cause: cause}
	c.unable = c.endErr // a better reason than any before
	if len(lost) > 0 || !c.closing && (truncated || failed || !isClean(cause)) {
		started := len(lost) > 0 && lost[0].end <= consumed // they are in the order of their ends
		c.result = &LostError{Cause: cause, Started: started, idle: len(lost) == 0}
	}
	callback.InTurn(
		func() { c.lose(lost, cause, consumed) },
		c.endCanceled,
		c.endUpcalls,
		c.settle,
		c.report,
	)
}

// lose ends the calls in flight, of which the child has read the first consumed
// bytes.
func (c *Client) lose(lost []call, cause error, consumed uint64) {
	callback.All(&lost, func(l call) {
		l.to.Complete(nil, &LostError{Cause: cause, Started: l.end <= consumed})
	})
}

// settle lets those go who wait for room or for the end.
func (c *Client) settle() {
	close(c.ended)
	c.loop.Yielding()
	c.refuse(c.endErr)
}

// refuse takes no more calls, and ends those that were waiting for room.
func (c *Client) refuse(err error) {
	c.unable = err
	c.queue.refuse(err)
}

// report makes the one callback that ends the client.
func (c *Client) report() {
	switch {
	case c.result == nil && c.config.OnDestroy != nil:
		c.config.OnDestroy()
	case c.result != nil && c.config.OnError != nil:
		c.config.OnError(c.result)
	}
}
