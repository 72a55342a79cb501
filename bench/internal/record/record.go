// Package record is the struct that typed calls carry: of the size and the kinds of
// field that a job has.
package record

import (
	"fmt"
	"slices"
)

// A Record describes a file.
type Record struct {
	ID       uint64
	Path     string
	Size     int64
	Modified float64 // seconds since 1970
	Tags     []string
}

// Listed is a Record whose CBOR is a list of its fields, without their names: both sides have to know the same. Gob sends
// names only once on a connection, in a description by which the sides may know different fields.
type Listed struct {
	_        struct{} `cbor:",toarray"`
	ID       uint64
	Path     string
	Size     int64
	Modified float64
	Tags     []string
}

// Example is the record that is sent.
func Example() Record {
	return Record{
		ID:       1_234_567,
		Path:     "/srv/images/2026/11/0042.jpeg",
		Size:     3_482_113,
		Modified: 1_795_500_000.25,
		Tags:     []string{"raw", "scanned"},
	}
}

// ExampleListed is Example as a Listed.
func ExampleListed() Listed {
	e := Example()
	return Listed{ID: e.ID, Path: e.Path, Size: e.Size, Modified: e.Modified, Tags: e.Tags}
}

// Same tells whether a reply is what was sent.
func (r Record) Same(reply Record) error {
	if r.ID != reply.ID || r.Path != reply.Path || r.Size != reply.Size ||
		r.Modified != reply.Modified || !slices.Equal(r.Tags, reply.Tags) {
		return fmt.Errorf("a reply of %+v", reply)
	}
	return nil
}

// Same tells whether a reply is what was sent.
func (l Listed) Same(reply Listed) error { return l.record().Same(reply.record()) }

func (l Listed) record() Record { return Record{l.ID, l.Path, l.Size, l.Modified, l.Tags} }
