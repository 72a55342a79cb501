package main

import "github.com/evfork/evfork/reactor/evioserver"

// evioserverContestant is evio's contestant, handlers and all, on our loop.
func evioserverContestant() Contestant {
	return Contestant{
		Name:    "evioserver",
		Serve:   func(b *Binding) error { return serveEvioHandlers(b, evioserver.Serve) },
		Remarks: map[string]string{"half-close": "unsupported: no event for it in evio.Events"},
	}
}
