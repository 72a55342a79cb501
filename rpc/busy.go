package rpc

// busy is AnyEvent::Fork::RPC's busy counter, which decides when a server may
// exit: one for the open input, one for each call that has not been answered, and one
// for each call to the parent that has not ended (called and answered are said of these, too). At
// zero nothing can come any more and nothing is owed.
type busy struct{ n int }

func newBusy() busy { return busy{1} }

func (b *busy) called()     { b.n++ }
func (b *busy) answered()   { b.n-- }
func (b *busy) inputEnded() { b.n-- }
func (b *busy) idle() bool  { return b.n == 0 }
