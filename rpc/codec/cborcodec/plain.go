package cborcodec

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// Most requests and replies are structs of numbers, strings and lists of these.
// Values of such plain types are encoded and decoded here, several times faster than
// by package cbor, which finds out about a type's methods, tags and options at
// every value. Everything unusual is left to it: other types whole, and of the plain
// ones the values whose encoding is not what Append makes, so that every error, and
// every conversion, is package cbor's. Both must always agree; tests compare them.

// plan is how the values of a plain type are encoded and decoded. It is immutable.
type plan struct {
	kind   reflect.Kind
	bytes  bool        // a slice of bytes: a byte string
	elem   *plan       // of a slice
	fields []fieldPlan // of a struct, in their order
	// omits says that fields may be left out, which Append does not do here.
	omits bool
}

type fieldPlan struct {
	name  string
	key   []byte // its encoding
	index int
	plan  *plan
}

const (
	// maxFields is how many fields a plain struct may have: as many as fit into a mask.
	maxFields = 64
	// maxPlainLevels is how deep lists and structs are nested at most, in values of a
	// type that has itself in a list. It is less than maxLevels.
	maxPlainLevels = 32
)

// plans holds a *plan for each type that was asked for; nil: it is not plain.
var plans sync.Map

// planOf returns the plan of a type; nil if it is not plain.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := newPlan(t, map[reflect.Type]*plan{})
	plans.Store(t, p)
	return p
}

// newPlan makes the plan of a type. begun are the types it is a part of.
func newPlan(t reflect.Type, begun map[reflect.Type]*plan) *plan {
	if p := begun[t]; p != nil {
		return p // it is a list of lists of itself; if that turns out not to be plain, so does t
	}
	if special(t) {
		return nil
	}
	p := &plan{kind: t.Kind()}
	begun[t] = p
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return p
	case reflect.Slice:
		p.elem = newPlan(t.Elem(), begun)
		p.bytes = t.Elem().Kind() == reflect.Uint8
		if p.elem != nil {
			p.omits = p.elem.omits
			return p
		}
	case reflect.Struct:
		if p.addFields(t, begun) {
			return p
		}
	}
	return nil
}

// addFields reports whether a struct is plain: nothing embedded, and no options.
func (p *plan) addFields(t reflect.Type, begun map[reflect.Type]*plan) bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous || f.Name == "_" && f.Tag != "" {
			return false
		}
		tag := f.Tag.Get("cbor")
		if tag == "" {
			tag = f.Tag.Get("json")
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		sub := newPlan(f.Type, begun)
		if sub == nil || names[name] || len(p.fields) == maxFields || !utf8.ValidString(name) {
			return false
		}
		switch options {
		case "":
		case "omitempty", "omitzero":
			p.omits = true
		default:
			return false
		}
		p.omits = p.omits || sub.omits
		names[name] = true
		key := append(appendHead(nil, textString, uint64(len(name))), name...)
		p.fields = append(p.fields, fieldPlan{name: name, key: key, index: i, plan: sub})
	}
	return true
}

// special reports whether values of a type are not what its kind says: because of its
// methods, or because package cbor knows it.
func special(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() || t.PkgPath() == reflect.TypeFor[cbor.Tag]().PkgPath() || t.PkgPath() == "math/big" {
		return true
	}
	pointer := reflect.PointerTo(t)
	for _, method := range []reflect.Type{
		reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[cbor.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
	} {
		if pointer.Implements(method) {
			return true
		}
	}
	return false
}

// The major types of CBOR, in the highest three bits of a head, and the simple values.
const (
	unsigned   byte = 0 << 5
	negative   byte = 1 << 5
	byteString byte = 2 << 5
	textString byte = 3 << 5
	list       byte = 4 << 5
	pairs      byte = 5 << 5

	valueFalse byte = 0xf4
	valueTrue  byte = 0xf5
	valueNull  byte = 0xf6
	single     byte = 0xfa
	double     byte = 0xfb

	majorMask byte = 7 << 5
)

// appendHead appends the shortest head.
func appendHead(buf []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(buf, major|byte(n))
	case n < 1<<8:
		return append(buf, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(buf, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(buf, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(buf, major|27), n)
}
