package poller_test

import (
	"os"
	"testing"

	"github.com/evfork/evfork/internal/exittest"
	"github.com/evfork/evfork/internal/kqsim"
)

func TestMain(m *testing.M) {
	exittest.Main()
	kqsim.Install()
	os.Exit(m.Run())
}
