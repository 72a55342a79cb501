package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
)

// An echoCheck sees whether replies are what was sent, for every contestant written in Go whose
// calls carry bytes: the length of each, and the bytes of the first. The C baseline looks at the
// bytes of the last replies; to compare those of all of them would be measured, too.
type echoCheck struct {
	request []byte
	looked  atomic.Bool // at the bytes of a reply
}

// check is for any goroutine.
func (c *echoCheck) check(reply []byte) error {
	if len(reply) == len(c.request) && c.looked.Load() {
		return nil
	}
	return c.look(reply)
}

func (c *echoCheck) look(reply []byte) error {
	c.looked.Store(true)
	switch {
	case len(reply) != len(c.request):
		return fmt.Errorf("a reply of %d bytes to a call of %d", len(reply), len(c.request))
	case !bytes.Equal(reply, c.request):
		return errors.New("a reply differs from its call")
	}
	return nil
}
