//go:build !linux

package child_test

import (
	"errors"

	"github.com/evfork/evfork/child"
)

func tracerWorker(*child.Worker) error { return errors.ErrUnsupported }

func dumperWorker(*child.Worker) error { return nil }
