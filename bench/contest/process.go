package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startPatience is for a server to say that it serves.
	startPatience = 20 * time.Second
	// answerPatience is for a command that needs nothing of the library.
	answerPatience = 20 * time.Second
)

// A Process is a server's, as the driver sees it.
type Process struct {
	Order
	cmd      *exec.Cmd
	asking   sync.Mutex // one question at a time
	commands io.WriteCloser
	messages chan Message  // closed when the process closed its end
	exited   chan struct{} // closed when it has exited; then waitErr is set
	waitErr  error
	stderr   *tail

	ended  chan struct{} // closed when the library's serving function has returned
	ending *Ending       // set then
	mayEnd bool          // the driver has asked for it
}

// startProcess starts this program again as a server and waits until it serves.
func startProcess(o Order) (*Process, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p := &Process{
		Order: o, cmd: exec.Command(self), stderr: &tail{},
		messages: make(chan Message, 1), exited: make(chan struct{}), ended: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), serverVariable+"="+string(text))
	p.cmd.Stdout, p.cmd.Stderr = p.stderr, p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the driver: it ends no server
	p.cmd.ExtraFiles = []*os.File{theirs}                   // controlFD
	p.cmd.WaitDelay = answerPatience
	if p.commands, err = p.cmd.StdinPipe(); err != nil {
		ours.Close()
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	go p.receive(ours)
	go func() {
		p.waitErr = p.cmd.Wait()
		close(p.exited)
	}()
	if err := p.awaitServing(); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// receive passes messages on; the ending comes when it comes.
func (p *Process) receive(from io.ReadCloser) {
	defer from.Close()
	defer close(p.messages)
	decoder := json.NewDecoder(from)
	for {
		var m Message
		if err := decoder.Decode(&m); err != nil {
			return
		}
		if m.Ended != nil {
			p.ending = m.Ended
			close(p.ended)
			continue
		}
		p.messages <- m
	}
}

// errNotServing is the driver's only when even a second attempt fails.
var errNotServing = errors.New("the server does not serve")

func (p *Process) awaitServing() error {
	select {
	case m, ok := <-p.messages:
		if ok && m.Serving {
			return nil
		}
		<-p.exited
	case <-p.ended:
		return fmt.Errorf("%w: %s", errNotServing, p.ending.Err)
	case <-time.After(startPatience):
	}
	return fmt.Errorf("%w: %s", errNotServing, p.stderr.last())
}

// ask sends a command and returns the answer. Goroutine-safe.
func (p *Process) ask(c Command) (Message, error) {
	p.asking.Lock()
	defer p.asking.Unlock()
	if err := p.tell(c); err != nil {
		return Message{}, err
	}
	select {
	case m, ok := <-p.messages:
		switch {
		case !ok:
			return m, errors.New("the server has exited")
		case m.Failed != "":
			return m, fmt.Errorf("server: %s", m.Failed)
		}
		return m, nil
	case <-time.After(answerPatience):
		return Message{}, errors.New("the server does not answer")
	}
}

func (p *Process) tell(c Command) error { return json.NewEncoder(p.commands).Encode(c) }

// gone is the verdict about a server that ended without being asked to, now or
// within the grace: a client sees the end of its connection first.
func (p *Process) gone(grace time.Duration) (Verdict, bool) {
	if p.mayEnd {
		return Verdict{}, false
	}
	p.awaitEnd(grace)
	select {
	case <-p.ended: // the process stays until the driver lets it go
		return bad(exits, "exits: %s", p.ending.reason(p.stderr)), true
	default:
	}
	select {
	case <-p.exited:
		return bad(exits, "exits: %s", p.death()), true
	default:
		return Verdict{}, false
	}
}

// death is what is known of the end of a process that has exited.
func (p *Process) death() string {
	status := "exit status 0"
	if p.waitErr != nil {
		status = p.waitErr.Error()
	}
	return strings.TrimPrefix(p.stderr.last()+", "+status, ", ")
}

// end closes the commands, upon which a server exits whatever its library is
// doing, and kills one that does not.
func (p *Process) end() {
	p.commands.Close()
	select {
	case <-p.exited:
	case <-time.After(answerPatience):
		p.kill()
	}
}

func (p *Process) kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

// A tail keeps the end of what is written to it. Goroutine-safe.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > tailSize {
		t.text = append([]byte(nil), t.text[len(t.text)-tailSize/2:]...)
	}
	return len(p), nil
}

// last returns what the process died of: the last line that sounds like it,
// else the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	chosen := lines[len(lines)-1]
	for _, line := range slices.Backward(lines) {
		if lower := strings.ToLower(line); strings.Contains(lower, "panic: ") || strings.Contains(lower, "error") {
			chosen = line[strings.LastIndexByte(line, '\t')+1:] // zap's message is the last column
			break
		}
	}
	return strings.Join(strings.Fields(chosen), " ")
}

// find returns the first line with that beginning.
func (t *tail) find(prefix string) (line string, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.Lines(string(t.text)) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}

// reason is why a serving function returned that had not been asked to; those
// that return nothing have logged it.
func (e *Ending) reason(log *tail) string {
	if e.Err != "" {
		return e.Err
	}
	return strings.TrimSuffix("the server returned without an error; "+log.last(), "; ")
}
