package poller_test

import (
	"os"
	"testing"

	"github.com/evfork/evfork/internal/kqsim"
)

func TestMain(m *testing.M) {
	atStart()
	kqsim.Install()
	os.Exit(m.Run())
}
