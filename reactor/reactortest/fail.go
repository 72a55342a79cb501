package reactortest

// An Op is something that a loop asks of its Poller and that can fail.
type Op uint8

// The operations.
const (
	Add    Op = iota // beginning to watch a descriptor
	Modify           // asking something else of a watched descriptor
	Remove           // watching it no longer; the loop has done with it all the same
	Wait             // waiting, blocking or not: Run and Poll return the error

	operations = iota
)

// FailNext has the next call of op fail with err, usually a syscall.Errno. Called
// again it is about the call after that, and so on; a nil err lets one succeed. An
// iteration may wait several times: first without blocking, then for good.
func (p *Poller) FailNext(op Op, err error) { p.failures[op] = append(p.failures[op], err) }

// fail returns the error that op is to fail with now.
func (p *Poller) fail(op Op) error {
	queue := p.failures[op]
	if len(queue) == 0 {
		return nil
	}
	p.failures[op] = queue[1:]
	return queue[0]
}
