package rpc_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// frame is a frame as docs/protocol.md describes it, written without the
// package's own encoder.
func frame(word uint32, payload string) string {
	var header [8]byte
	binary.BigEndian.PutUint32(header[:4], word)
	binary.BigEndian.PutUint32(header[4:], uint32(len(payload)))
	return string(header[:]) + payload
}

// syncCall is a call on AnyEvent's sync wire.
func syncCall(payload string) string { return frame(0, payload)[4:] }

const (
	helloWord = 0xf0000000
	errorKind = 0x10000000

	helloPayload = "\x06evfork\x011\x05codec\x06string"
)

// hello is the first frame of a side on the Evfork wire that says as little as it may.
var hello = frame(helloWord, helloPayload)

// What the package's own sides say: ourHello is a server's.
var (
	ourHello    = string(rpc.AppendHello(nil))
	clientHello = string(rpc.AppendClientHello(nil))
)

// The steps of a script for rawWorker, which does what no server of ours would.
func write(bytes string) string { return "write:" + hex.EncodeToString([]byte(bytes)) }
func exit(code int) string      { return "exit:" + strconv.Itoa(code) }
func stderr(text string) string { return "stderr:" + text }

const (
	readFrame = "frame"     // reads one frame and forgets it
	readAll   = "all"       // reads to the EOF
	readMore  = "more"      // reads and forgets in the background, for ever
	closeIn   = "close-in"  // closes its input
	closeOut  = "close-out" // closes its output
	wait      = "wait"      // does nothing until it is killed
)

// rawWorker does the steps that are its arguments.
func rawWorker(w *child.Worker) error {
	r, wr := w.FDs()
	in, out := os.NewFile(uintptr(r), "in"), os.NewFile(uintptr(wr), "out")
	defer runtime.KeepAlive(in) // a file that nobody holds is closed
	defer runtime.KeepAlive(out)
	for _, step := range os.Args[1:] {
		if err := rawStep(in, out, step); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

func rawStep(in, out *os.File, step string) error {
	name, arg, _ := strings.Cut(step, ":")
	switch name {
	case "write":
		b, err := hex.DecodeString(arg)
		if err == nil {
			_, err = out.Write(b)
		}
		return err
	case "stderr":
		_, err := os.Stderr.WriteString(arg)
		return err
	case "exit":
		code, _ := strconv.Atoi(arg)
		os.Exit(code)
	case "read": // so many bytes
		n, err := strconv.ParseInt(arg, 10, 64)
		if err == nil {
			_, err = io.CopyN(io.Discard, in, n)
		}
		return err
	case readFrame:
		var header [8]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(header[4:])))
		return err
	case readAll:
		_, err := io.Copy(io.Discard, in)
		return err
	case readMore:
		go io.Copy(io.Discard, in)
	case closeIn:
		return unix.Close(int(in.Fd()))
	case closeOut:
		return unix.Close(int(out.Fd()))
	case wait:
		time.Sleep(time.Hour) // until it is killed; select {} would be reported as a deadlock
	default:
		return fmt.Errorf("no such step")
	}
	return nil
}

// raw starts a child that does the steps.
func (f *fixture) raw(config child.Config, steps ...string) *child.Process {
	f.t.Helper()
	config.Worker, config.Args = "raw", steps
	if config.StartTimeout == 0 {
		config.StartTimeout = guard
	}
	proc, err := child.Start(f.Loop, config)
	must(f.t, err)
	return proc
}

// fileOf is a blocking file of a descriptor, which it owns.
func fileOf(fd int) *os.File { return os.NewFile(uintptr(fd), "socket") }

func readToEnd(r io.Reader) string {
	b, _ := io.ReadAll(r)
	return string(b)
}

// followToTheEnd is the other side that ends its sending when this one has. It tells when it has.
func followToTheEnd(file *os.File) <-chan error {
	gone := make(chan error, 1)
	go func() {
		readToEnd(file)
		gone <- unix.Shutdown(int(file.Fd()), unix.SHUT_WR)
	}()
	return gone
}
