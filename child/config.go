package child

import (
	"syscall"
	"time"
)

// Transport is how the protocol reaches the child.
type Transport uint8

const (
	// Pipes are two pipes on descriptors 3 and 4 of the child.
	Pipes Transport = iota
	// Stdio are two pipes on its stdin and stdout, for programs that know nothing
	// of this package. A worker on Stdio moves them away, and finds its stdout
	// joined with its stderr.
	Stdio
)

// NoSignal as Config.DeathSignal turns the signal off.
const NoSignal = syscall.Signal(-1)

// Config says what to start and how. Worker or Path is required.
type Config struct {
	// Worker names a function registered with Main: this program is started again. On Linux ps and
	// top show the process by the first 15 bytes of the name.
	Worker string
	// Path is another program to start, looked up in this process's PATH if it has no
	// slash. A relative one with a slash begins at Dir. One that speaks its protocol
	// on stdin and stdout needs Transport Stdio.
	Path string
	// Args are the arguments after the program's name.
	Args []string
	// Env is the environment. nil: this process's.
	Env []string
	// Dir is the working directory. "": this process's.
	Dir string

	// Transport is how the protocol reaches the child. 0: Pipes.
	Transport Transport
	// PipeSize is the capacity of the protocol pipes in bytes, where the OS can
	// set it (Linux; it rounds up to a power of two of pages). 0: the OS's default,
	// which on Linux a stream that finds the pipe full enlarges to 128 KiB.
	PipeSize int

	// StartTimeout is how long the child may take from the opening of its
	// transport to its handshake. 0: 10 s; negative: for ever. On Linux one that is exiting by then, or whose core is being
	// dumped, has up to 10 s more.
	StartTimeout time.Duration
	// Ladder is how Stop ends the process. 0: see Ladder.
	Ladder Ladder

	// OnStdout and OnStderr get what the child writes there, as it comes: the
	// bytes are valid until the callback returns, and may end amid a line. If one of them or
	// the Logger panics, and the loop survives that (reactor.Config.OnPanic), no more is read of
	// that output, and a child that goes on writing to it gets SIGPIPE.
	OnStdout, OnStderr func(data []byte)
	// Logger gets it line by line, stdout by Info and stderr by Warn, with the attributes
	// child, pid and stream. nil: not logged.
	Logger Logger
	// StderrTail is how much of the end of stderr is kept, in bytes; if a Go program crashes, half of it
	// at most is for the beginning of what it wrote then. 0: 4096.
	StderrTail int

	// DeathSignal is sent to the child by the kernel when this process dies,
	// however it dies (Linux, FreeBSD). 0: SIGKILL for a Worker, none for a Path. Linux forgets it when a
	// set-user-ID program or one whose file has capabilities is executed, this one included, and when
	// the child changes its user or group: then only the EOF tells the child.
	DeathSignal syscall.Signal
	// SharedGroup leaves the child in this process's group, where Ctrl-C reaches
	// it, instead of giving it its own. Then only the child itself is signalled.
	SharedGroup bool
}

// A Logger is what Config needs of a *slog.Logger, which is one. Package child does not import
// log/slog: it would come with encoding/json, and a tenth of a megabyte in every worker.
type Logger interface {
	Info(msg string, attributes ...any)
	Warn(msg string, attributes ...any)
}

const (
	defaultStartTimeout = 10 * time.Second
	defaultStderrTail   = 4096
)

// name is what errors and logs call the child.
func (c *Config) name() string {
	if c.Worker != "" {
		return c.Worker
	}
	return c.Path
}

func (c *Config) applyDefaults() {
	if c.StartTimeout == 0 {
		c.StartTimeout = defaultStartTimeout
	}
	if c.StderrTail <= 0 {
		c.StderrTail = defaultStderrTail
	}
	if c.DeathSignal == 0 && c.Worker != "" {
		c.DeathSignal = syscall.SIGKILL
	}
	if c.DeathSignal == NoSignal {
		c.DeathSignal = 0
	}
	c.Ladder.applyDefaults()
}
