package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// peer is the other side of a client: which server it runs, what it speaks, and
// where it lives.
type peer struct {
	transport  string // "pipes", "stdio": a process; "socketpair": this one
	server     string // "sync", "async", "goroutines"
	wire       rpc.Wire
	maxFrame   int
	limit      int                 // of ServeGoroutines
	mirror     bool                // replies are the requests, nothing else is done
	buffered   int                 // ServerConfig.MaxBuffered
	concurrent int                 // ServerConfig.MaxConcurrent
	window     int                 // ServerConfig.Window
	marks      string              // file in which the byte at the number in each request is set
	pipes      bool                // a mirror sends the parts of its requests back
	floods     bool                // a mirror sends many events every now and then
	saw        func(args []string) // is told of every request; only in this process
}

// pipes is the usual peer, for tests that are about something else.
func pipes(server string) peer { return peer{transport: "pipes", server: server} }

func (p peer) String() string { return p.transport + "/" + p.server + "/" + p.wire.String() }

func (p peer) process() bool { return p.transport != "socketpair" }

// eachPeer runs a test against every server, over every transport and wire.
func eachPeer(t *testing.T, test func(t *testing.T, p peer)) {
	for _, transport := range []string{"pipes", "stdio", "socketpair"} {
		for _, server := range []string{"sync", "async", "goroutines"} {
			for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
				p := peer{transport: transport, server: server, wire: wire}
				t.Run(p.String(), func(t *testing.T) { test(t, p) })
			}
		}
	}
}

// eachServer runs a test against the three servers, each in a process.
func eachServer(t *testing.T, test func(t *testing.T, p peer)) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) { test(t, pipes(server)) })
	}
}

// args is the peer as a worker's arguments; parsePeer is the inverse.
func (p peer) args() []string {
	return []string{p.server, strconv.Itoa(int(p.wire)), strconv.Itoa(p.maxFrame), strconv.Itoa(p.limit), strconv.FormatBool(p.mirror), p.marks,
		strconv.FormatBool(p.floods), strconv.Itoa(p.buffered), strconv.Itoa(p.concurrent), strconv.Itoa(p.window), strconv.FormatBool(p.pipes)}
}

func parsePeer(args []string) peer {
	wire, _ := strconv.Atoi(args[1])
	maxFrame, _ := strconv.Atoi(args[2])
	limit, _ := strconv.Atoi(args[3])
	buffered, _ := strconv.Atoi(args[7])
	concurrent, _ := strconv.Atoi(args[8])
	window, _ := strconv.Atoi(args[9])
	return peer{pipes: args[10] == "true", window: window, buffered: buffered, concurrent: concurrent, server: args[0], wire: rpc.Wire(wire), maxFrame: maxFrame, limit: limit,
		mirror: args[4] == "true", marks: args[5], floods: args[6] == "true"}
}

// start starts the peer and returns its end of the connection.
func (f *fixture) start(p peer) rpc.Transport {
	f.t.Helper()
	if !p.process() {
		return f.startHere(p)
	}
	return f.spawn(p, child.Config{})
}

// unhurried gives a child as much time for each step as it may ever need, unless the
// test wants another: a busy machine is no reason to put it down.
func unhurried(c *child.Config) {
	if c.StartTimeout == 0 {
		c.StartTimeout = guard
	}
	if c.Ladder == (child.Ladder{}) {
		c.Ladder = child.Ladder{CloseWait: guard, TermWait: guard}
	}
}

func (f *fixture) spawn(p peer, config child.Config) *child.Process {
	f.t.Helper()
	config.Worker, config.Args = "serve", p.args()
	unhurried(&config)
	if p.transport == "stdio" {
		config.Transport = child.Stdio
	}
	proc, err := child.Start(f.Loop, config)
	must(f.t, err)
	return proc
}

// startHere serves on a goroutine of this process.
func (f *fixture) startHere(p peer) rpc.Transport {
	f.t.Helper()
	ours, theirs := socketpair(f.t)
	f.servers.Go(func() {
		if err := p.serve(sameFD(theirs)); err != nil {
			f.t.Logf("the server in this process: %v", err)
		}
		if p.server != "async" { // whose stream has closed it
			unix.Close(theirs)
		}
	})
	return rpc.NewStreamTransport(f.Loop, ours, ours)
}

func socketpair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds[0], fds[1]
}

// sameFD is a socket as rpc.FDs.
type sameFD int

func (s sameFD) FDs() (readFD, writeFD int) { return int(s), int(s) }

// connect starts the peer and makes a client for it.
func (f *fixture) connect(p peer, config rpc.Config) *rpc.Client {
	f.t.Helper()
	return f.client(f.start(p), p, config)
}

func (f *fixture) client(transport rpc.Transport, p peer, config rpc.Config) *rpc.Client {
	f.t.Helper()
	config.Wire = p.wire
	c, err := rpc.NewClient(transport, config)
	must(f.t, err)
	return c
}

func serveWorker(w *child.Worker) error { return parsePeer(os.Args[1:]).serve(w) }

func (p peer) serve(fds rpc.FDs) error {
	s := &service{peer: p, gate: make(chan struct{})}
	server, err := rpc.NewServer(fds, rpc.ServerConfig{
		Wire: p.wire, MaxFrame: p.maxFrame, MaxBuffered: p.buffered, MaxConcurrent: p.concurrent, OnDrain: s.onDrain,
		Window:    p.window,
		Sentinels: rpc.Sentinels{"not exist": fs.ErrNotExist, "other": io.EOF},
	})
	if err != nil {
		return err
	}
	s.server = server
	if p.marks != "" {
		if s.marks, err = os.OpenFile(p.marks, os.O_WRONLY, 0); err != nil {
			return err
		}
		defer s.marks.Close()
	}
	switch p.server {
	case "sync":
		return server.ServeSync(s.handle)
	case "goroutines":
		return server.ServeGoroutines(s.handle, p.limit)
	}
	if s.loop, err = reactor.New(reactor.Config{}); err != nil {
		return err
	}
	defer closeLoop(s.loop)
	return server.ServeAsync(s.loop, s.begin)
}

// service is what the servers of the tests can do: the first argument names it.
type service struct {
	peer   peer
	server *rpc.Server
	loop   *reactor.Loop
	marks  *os.File

	reflected atomic.Int64

	mu      sync.Mutex
	running int // handlers inside hold
	most    int // of them at once
	gate    chan struct{}
	held    []held
	onRoom  func() // what waits for room for events
}

func (s *service) onDrain() {
	if fn := s.onRoom; fn != nil {
		s.onRoom = nil
		fn()
	}
}

type held struct {
	done  rpc.Done
	reply []string
}

// flood sends so many events, and replies how many bytes of them were queued at
// most. Whenever there is no room it says so on stderr.
func (s *service) flood(done rpc.Done, event string, total int) {
	sent, most := 0, 0
	var goOn func()
	goOn = func() {
		for ; sent < total; sent++ {
			err := s.server.Event(event)
			most = max(most, s.loop.Stats().Buffered)
			switch {
			case err == rpc.ErrFull:
				fmt.Fprintln(os.Stderr, "full")
				s.onRoom = goOn
				return
			case err != nil:
				done.Fail(err)
				return
			}
		}
		done.Reply(strconv.Itoa(most))
	}
	goOn()
}

// handle answers for ServeSync and ServeGoroutines.
func (s *service) handle(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
	if s.peer.mirror {
		if s.peer.pipes {
			if err := s.pipe(ctx); err != nil {
				return nil, err
			}
		}
		return s.reflect(request)
	}
	args, err := request.Strings()
	if err != nil {
		return nil, err
	}
	s.note(args)
	switch args[0] {
	case "hold": // answers after release; not with ServeSync, which would never read that
		s.enter()
		<-s.gate
		s.leave()
		return rpc.Strings(args[1:]...), nil
	case "release":
		close(s.gate)
		return rpc.Strings("released"), nil
	case "until the end": // of ctx
		s.server.Event("begun")
		<-ctx.Done()
		s.server.Event(ctx.Err().Error())
		return nil, fmt.Errorf("stopped: %w", ctx.Err())
	}
	if reply, err, ok := s.handleParts(ctx, args); ok {
		return rpc.Strings(reply...), err
	}
	if args[0] == "parts" {
		for _, part := range args[1:] {
			if err := rpc.SendPart(ctx, rpc.Strings(part)); err != nil {
				return nil, err
			}
		}
		return rpc.Strings("whole"), nil
	}
	if strings.HasPrefix(args[0], "parent") {
		return s.askParent(ctx, args)
	}
	reply, err := s.call(args)
	return rpc.Strings(reply...), err
}

// mallocsRequest is what a mirror answers with its number of allocations.
const mallocsRequest = "mallocs"

// reflect answers for a mirror.
func (s *service) reflect(request rpc.Payload) (rpc.Payload, error) {
	if string(request) == mallocsRequest {
		return rpc.Payload(mallocs()), nil
	}
	if s.peer.floods && s.reflected.Add(1)%256 == 0 {
		if err := s.floodNow(); err != nil {
			return nil, err
		}
	}
	return request, s.mark(request)
}

// mallocs is how often this process has allocated.
func mallocs() string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return strconv.FormatUint(m.Mallocs, 10)
}

// floodEvents is how many events a flood has: more than the parent's pipe holds.
const floodEvents = 3000

func (s *service) floodNow() error {
	for i := range floodEvents {
		if err := s.server.Event("flood", strconv.Itoa(i), "with something behind it"); err != nil {
			return err
		}
	}
	return nil
}

// mark notes that the request has been handled, where its parent can see it.
func (s *service) mark(request rpc.Payload) error {
	if s.marks == nil {
		return nil
	}
	value, _, err := request.Next()
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(value))
	if err == nil {
		_, err = s.marks.WriteAt([]byte{1}, int64(n))
	}
	return err
}

func (s *service) note(args []string) {
	if s.peer.saw != nil {
		s.peer.saw(args)
	}
}

func (s *service) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	s.most = max(s.most, s.running)
}

func (s *service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
}

// begin answers for ServeAsync.
func (s *service) begin(request rpc.Payload, done rpc.Done) {
	if s.peer.mirror {
		if s.peer.pipes {
			s.pipeAsync(request, done)
			return
		}
		reply, err := s.reflect(request)
		if err != nil {
			done.Fail(err)
			return
		}
		done.ReplyBytes(reply)
		return
	}
	args, err := request.Strings()
	if err != nil {
		done.Fail(err)
		return
	}
	s.note(args)
	switch args[0] {
	case "hold":
		s.held = append(s.held, held{done, args[1:]})
	case "release": // the last one held is answered first
		for i := len(s.held) - 1; i >= 0; i-- {
			s.held[i].done.Reply(s.held[i].reply...)
		}
		s.held = nil
		done.Reply("released")
	case "fail with nil":
		done.Fail(nil)
	case "count", "count and fail", "sum", "pipe":
		(&asyncParts{service: s, done: done, args: args}).begin()
	case "parts":
		for _, part := range args[1:] {
			if err := done.Part(part); err != nil {
				done.Fail(err)
				return
			}
		}
		done.Reply("whole")
		if err := done.Part("too late"); err != rpc.ErrDone {
			panic(err)
		}
	case "flood":
		size, _ := strconv.Atoi(args[1])
		total, _ := strconv.Atoi(args[2])
		s.flood(done, strings.Repeat("x", size), total)
	case "until the end":
		s.server.Event("begun")
		done.OnCancel(func(err error) {
			s.server.Event(errors.Unwrap(err).Error())
			done.Fail(fmt.Errorf("stopped: %w", err))
		})
	case "until its context ends":
		ctx := done.Context()
		s.server.Event("begun")
		go func() {
			<-ctx.Done()
			s.loop.Post(func() { done.Fail(ctx.Err()) })
		}()
	case "twice":
		first, second := done.Reply("once"), done.Reply("twice")
		s.server.Event(fmt.Sprint(first), fmt.Sprint(errors.Is(second, rpc.ErrDone)))
	case "parent", "parent until", "parent often", "parent cancel":
		s.beginToAskParent(args, done)
	default:
		reply, err := s.call(args)
		if err != nil {
			done.Fail(err)
			return
		}
		done.Reply(reply...)
	}
}

// call is what all servers do alike.
func (s *service) call(args []string) ([]string, error) {
	switch args[0] {
	case "echo":
		return args[1:], nil
	case "fail":
		return nil, errors.New(args[1])
	case "not found":
		return nil, fmt.Errorf("looking for %s: %w", args[1], fs.ErrNotExist)
	case "panic":
		panic(args[1])
	case "event":
		err := s.server.Event(args[1:]...)
		return []string{"sent"}, err
	case "big":
		n, err := strconv.Atoi(args[1])
		return []string{strings.Repeat("x", n)}, err
	case "big event":
		n, err := strconv.Atoi(args[1])
		if err == nil {
			err = s.server.Event(strings.Repeat("x", n))
		}
		return nil, err
	case "flush":
		return []string{fmt.Sprint(s.server.Flush())}, nil
	case "most":
		s.mu.Lock()
		defer s.mu.Unlock()
		return []string{strconv.Itoa(s.most)}, nil
	case "exit":
		code, _ := strconv.Atoi(args[1])
		os.Stderr.WriteString("exiting as told\n")
		os.Exit(code)
	case "signal":
		n, _ := strconv.Atoi(args[1])
		if err := syscall.Kill(os.Getpid(), syscall.Signal(n)); err != nil {
			return nil, err
		}
		time.Sleep(time.Hour) // until it has come, perhaps to another thread
	}
	return nil, fmt.Errorf("no function %q", args[0])
}
