package rpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// answering serves double with a handler that answers later, and returns when deadlines and
// cancels travel. The handler gets the jobs that say something.
func (f *fixture) answering(server string, handler func(answer rpc.Answer[int])) *rpc.Client {
	f.t.Helper()
	mux := rpc.NewMux()
	double.HandleAsync(mux, func(j job, answer rpc.Answer[int]) {
		if j.What == "" {
			answer.Reply(2 * j.N)
			return
		}
		handler(answer)
	})
	c := f.typedHere(peer{transport: "socketpair", server: server}, mux, rpc.Config{})
	_, err := askTyped(f, c, double, job{})
	must(f.t, err)
	return c
}

// cancelBegun makes a call and cancels it when the handler has sent on begun.
func (f *fixture) cancelBegun(c *rpc.Client, begun <-chan int) {
	f.t.Helper()
	call, err := double.GoWith(c, job{What: "something"}, rpc.CallOptions{}, nil)
	must(f.t, err)
	must(f.t, f.Poll(0)) // which sends it
	receive(f.t, begun, 1)
	c.Cancel(call)
	f.until(func() bool { return c.InFlight() == 0 })
}

// The last function of OnCancel is called, once; one that it sets itself, too.
func TestAnswerCallsTheFunctionThatWasSetLast(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			begun, called := make(chan int, 1), make(chan string, 10)
			c := f.answering(server, func(answer rpc.Answer[int]) {
				answer.OnCancel(func(error) { called <- "first" })
				answer.OnCancel(func(err error) {
					if err != rpc.ErrCanceled {
						called <- err.Error()
					}
					called <- "second"
					answer.OnCancel(func(error) {
						called <- "its own"
						answer.Fail(err)
					})
				})
				begun <- 1
			})
			f.cancelBegun(c, begun)
			var got []string
			for len(called) > 0 {
				got = append(got, <-called)
			}
			if !slices.Equal(got, []string{"second", "its own"}) {
				t.Errorf("called: %q", got)
			}
		})
	}
}

func TestAnswerCallsNobodyOnceItWasGiven(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			begun, called := make(chan int, 1), make(chan string, 10)
			c := f.answering(server, func(answer rpc.Answer[int]) {
				answer.OnCancel(func(error) { called <- "the one set before" })
				answer.Reply(1)
				answer.OnCancel(func(error) { called <- "the one set afterwards" })
				begun <- 1
			})
			f.cancelBegun(c, begun)
			_, err := askTyped(f, c, double, job{}) // the cancel has come
			must(t, err)
			if len(called) > 0 {
				t.Errorf("called: %s", <-called)
			}
		})
	}
}

// Servers that wait answer by themselves if the function does not.
func TestWaitingServerAnswersACancelledCall(t *testing.T) {
	for name, give := range map[string]func(answer rpc.Answer[int]) error{
		"the function answers":   func(answer rpc.Answer[int]) error { return answer.Reply(1) },
		"the server answers":     nil,
		"there is no function":   nil,
		"there is none any more": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			begun, gave := make(chan int, 1), make(chan error, 2)
			var kept rpc.Answer[int]
			c := f.answering("goroutines", func(answer rpc.Answer[int]) {
				kept = answer
				if name != "there is no function" {
					answer.OnCancel(func(error) {
						if give != nil {
							gave <- give(answer)
						}
					})
				}
				if name == "there is none any more" {
					answer.OnCancel(nil)
				}
				begun <- 1
			})
			f.cancelBegun(c, begun)
			if give != nil {
				if err := <-gave; err != nil {
					t.Errorf("the function's answer: %v", err)
				}
			}
			if err := kept.Reply(2); err != rpc.ErrDone {
				t.Errorf("a late answer: %v", err)
			}
		})
	}
}

func TestAnswersContextEndsWithTheAnswer(t *testing.T) {
	for how, end := range map[string]func(answer rpc.Answer[int]){
		"reply": func(answer rpc.Answer[int]) { answer.Reply(1) },
		"error": func(answer rpc.Answer[int]) { answer.Fail(errors.New("it is no use")) },
		"panic": func(rpc.Answer[int]) { panic("it is no use") },
	} {
		eachServer(t, func(t *testing.T, p peer) {
			f := newFixture(t)
			contexts, early := make(chan context.Context, 2), make(chan error, 1)
			c := f.answering(p.server, func(answer rpc.Answer[int]) {
				ctx := answer.Context()
				contexts <- ctx
				early <- ctx.Err()
				defer func() { contexts <- answer.Context() }()
				end(answer)
			})
			_, err := askTyped(f, c, double, job{What: "something"})
			if how != "reply" && err == nil {
				t.Errorf("after a %s: the call has a reply", how)
			}
			for range 2 {
				<-(<-contexts).Done()
			}
			if err := <-early; err != nil {
				t.Errorf("before the %s: %v", how, err)
			}
		})
	}
}

func TestContextOfAnAnsweredCallHasEnded(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		errs := make(chan error, 1)
		c := f.answering(p.server, func(answer rpc.Answer[int]) {
			answer.Reply(1)
			errs <- answer.Context().Err()
		})
		_, err := askTyped(f, c, double, job{What: "something"})
		must(t, err)
		if err := <-errs; err != context.Canceled {
			t.Errorf("the context's error is %v", err)
		}
	})
}

// The handler is gone, the caller too: the answer of a waiting server is its ctx's error.
func TestWaitingServersAnswerIsTheContextsError(t *testing.T) {
	mux := rpc.NewMux()
	double.HandleAsync(mux, func(job, rpc.Answer[int]) {})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: canceled, context.DeadlineExceeded: late} {
		for _, handler := range []rpc.Handler{mux.Sync(), mux.Goroutines()} {
			if _, err := handler(ctx, rpc.Strings(double.Name(), "{}", "json")); err != want {
				t.Errorf("the error is %v, want %v", err, want)
			}
		}
	}
}

// Also one that is asked for after the cancel.
func TestAnswersContextEndsWithACancel(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			begun, errs := make(chan int, 1), make(chan error, 2)
			c := f.answering(server, func(answer rpc.Answer[int]) {
				ctx := answer.Context()
				answer.OnCancel(func(error) {
					errs <- ctx.Err()
					errs <- answer.Context().Err()
					answer.Fail(context.Canceled)
				})
				begun <- 1
			})
			f.cancelBegun(c, begun)
			for range 2 {
				if err := <-errs; err != context.Canceled {
					t.Errorf("the context's error is %v", err)
				}
			}
		})
	}
}

// A panic is the answer of a waiting server: there is no other any more.
func TestAnswerAfterAPanicIsRefused(t *testing.T) {
	for _, server := range []string{"sync", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			kept := make(chan rpc.Answer[int], 1)
			c := f.answering(server, func(answer rpc.Answer[int]) {
				kept <- answer
				panic("it is no use")
			})
			if _, err := askTyped(f, c, double, job{What: "something"}); err == nil {
				t.Error("the call has a reply")
			}
			if err := (<-kept).Reply(1); err != rpc.ErrDone {
				t.Errorf("the answer: %v", err)
			}
		})
	}
}

// Whoever waits must not take it for a reply.
func TestAnswerThatFailsWithoutAnErrorIsOne(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			c := f.answering(server, func(answer rpc.Answer[int]) { answer.Fail(nil) })
			_, err := askTyped(f, c, double, job{What: "something"})
			if err == nil || !strings.Contains(err.Error(), "the handler failed with a nil error") {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
}

func TestEveryContextOfAnAnswerEndsWithIt(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			var before [2]error
			ended := make(chan [2]error, 1)
			c := f.answering(server, func(answer rpc.Answer[int]) {
				ctxs := [2]context.Context{answer.Context(), answer.Context()}
				for i, ctx := range ctxs {
					before[i] = ctx.Err()
				}
				answer.Reply(1)
				ended <- [2]error{ctxs[0].Err(), ctxs[1].Err()}
			})
			_, err := askTyped(f, c, double, job{What: "something"})
			must(t, err)
			if after := <-ended; before != [2]error{} || after != [2]error{context.Canceled, context.Canceled} {
				t.Errorf("before the answer they had ended with %v, behind it with %v", before, after)
			}
		})
	}
}
