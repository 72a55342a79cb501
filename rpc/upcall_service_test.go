package rpc_test

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/evfork/evfork/rpc"
)

// What the servers of the tests do when they are asked to call the parent:
//
//	parent, values…           calls it with the values, and answers with what it says
//	parent until, ms, values… the same, with so much time
//	parent often, n, size     calls it n times with a value of so many bytes, and checks the echo
//	parent cancel, values…    the same, and cancels the call when its own is (ServeAsync)

// askParent is for ServeSync and ServeGoroutines.
func (s *service) askParent(ctx context.Context, args []string) (rpc.Payload, error) {
	switch args[0] {
	case "parent until":
		limited, cancel := context.WithTimeout(ctx, milliseconds(args[1]))
		defer cancel()
		return rpc.CallParent(limited, args[2:]...)
	case "parent often":
		n, value := often(args)
		for range n {
			reply, err := rpc.CallParent(ctx, value)
			if err != nil {
				return nil, err
			}
			if values, _ := reply.Strings(); len(values) != 1 || values[0] != value {
				return rpc.Strings("wrong", string(reply)), nil
			}
		}
		return rpc.Strings("right"), nil
	}
	return rpc.CallParent(ctx, args[1:]...)
}

func milliseconds(s string) time.Duration {
	n, _ := strconv.Atoi(s)
	return time.Duration(n) * time.Millisecond
}

func often(args []string) (n int, value string) {
	n, _ = strconv.Atoi(args[1])
	size, _ := strconv.Atoi(args[2])
	return n, strings.Repeat("v", size)
}

// beginToAskParent is for ServeAsync.
func (s *service) beginToAskParent(args []string, done rpc.Done) {
	answer := func(reply rpc.Payload, err error) {
		if err != nil {
			done.Fail(err)
			return
		}
		done.ReplyBytes(reply)
	}
	var err error
	switch args[0] {
	case "parent until":
		options := rpc.CallOptions{Deadline: s.loop.Now().Add(milliseconds(args[1]))}
		_, err = s.server.GoParentWith(completion(answer), options, rpc.Strings(args[2:]...))
	case "parent cancel":
		var id rpc.CallID
		id, err = s.server.GoParentWith(completion(answer), rpc.CallOptions{}, rpc.Strings(args[1:]...))
		done.OnCancel(func(error) {
			if !s.server.CancelParent(id) || s.server.CancelParent(id) {
				panic("CancelParent reports the wrong thing")
			}
		})
	case "parent often":
		n, value := often(args)
		s.askOften(n, value, done)
	default:
		err = s.server.GoParent(answer, args[1:]...)
		if err == rpc.ErrFull {
			s.whenThereIsRoom(func() { s.beginToAskParent(args, done) })
			return
		}
	}
	if err != nil {
		done.Fail(err)
	}
}

// askOften makes all calls as soon as it can.
func (s *service) askOften(n int, value string, done rpc.Done) {
	made, ended, right := 0, 0, true
	var goOn func()
	goOn = func() {
		for made < n {
			err := s.server.GoParent(func(reply rpc.Payload, err error) {
				values, _ := reply.Strings()
				right = right && err == nil && len(values) == 1 && values[0] == value
				if ended++; ended < n {
					return
				}
				if right {
					done.Reply("right")
				} else {
					done.Reply("wrong")
				}
			}, value)
			if err == rpc.ErrFull {
				s.whenThereIsRoom(goOn)
				return
			}
			if err != nil {
				done.Fail(err)
				return
			}
			made++
		}
	}
	goOn()
}

// whenThereIsRoom has fn called by OnDrain, after those who wait already.
func (s *service) whenThereIsRoom(fn func()) {
	before := s.onRoom
	s.onRoom = func() {
		if before != nil {
			before()
		}
		fn()
	}
}
