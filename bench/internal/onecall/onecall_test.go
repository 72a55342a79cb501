package onecall

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// Its worker answers every call with as many other bytes.
func TestMain(m *testing.M) {
	child.Main(child.Workers{"worker": func(w *child.Worker) error {
		return rpc.ServeSync(w, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
			return make(rpc.Payload, len(request)), nil
		})
	}})
	os.Exit(m.Run())
}

// The memory of a worker that answered wrongly was a figure like any other.
func TestReplyThatIsNotItsCallIsSeen(t *testing.T) {
	if err := parent(); err == nil || !strings.Contains(err.Error(), "differs from its call") {
		t.Errorf("error %v", err)
	}
}
