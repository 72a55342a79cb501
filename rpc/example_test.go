package rpc_test

import "github.com/evfork/evfork/child"

func upperWorker(w *child.Worker) error    { return nil }
func shoutWorker(w *child.Worker) error    { return nil }
func progressWorker(w *child.Worker) error { return nil }
