package kqsim_test

import (
	"os"
	"testing"

	"github.com/evfork/evfork/internal/exittest"
)

func TestMain(m *testing.M) {
	exittest.Main()
	os.Exit(m.Run())
}
