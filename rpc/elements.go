package rpc

import (
	"reflect"
	"slices"
	"time"
)

// fewElements is how many elements the lists and maps of a request may have to be encoded on
// the loop, for which other callbacks wait.
const fewElements = 64

// largestValue is how large a type may be, in bytes, whose values are small.
const largestValue = 1 << 10

// elementCounter counts the elements of the lists and maps in a value, up to somewhat more than fewElements.
type elementCounter func(v reflect.Value) int

// A MethodlessCodec is a Codec that knows which values it encodes and decodes by itself.
// Method.Call has small requests without methods encoded on the loop, and their replies decoded by
// whichever of the waiting goroutines is woken first, which is much cheaper if there are many. With other codecs, and other types, each goroutine
// does both itself.
type MethodlessCodec interface {
	Codec
	// CallsMethods reports whether the codec may call methods of a value of type t, or of a pointer to it,
	// leaving aside the values that it consists of. If it never does, Append and Decode
	// must not wait for anything either.
	CallsMethods(t reflect.Type) bool
}

// handing says which calls of a method are handed over; see handed.go.
type handing struct {
	possible bool
	elements elementCounter // of requests; nil: they have none
}

// hands reports whether a call with that request is handed over.
func (m *Method[Req, Resp]) hands(req *Req) bool {
	h := m.handing.Load()
	if h == nil { // and not before: most of a program's processes make no calls
		h = new(handing)
		if codec, ok := m.codec.(MethodlessCodec); ok {
			s := smallness{codec: codec}
			_, h.possible = s.counter(reflect.TypeFor[Resp]())
			if h.possible {
				h.elements, h.possible = s.counter(reflect.TypeFor[Req]())
			}
		}
		m.handing.Store(h)
	}
	return h.possible && (h.elements == nil || h.elements(reflect.ValueOf(req).Elem()) <= fewElements)
}

// smallness is what is known of a type whose values can be small.
type smallness struct {
	codec MethodlessCodec
	path  []reflect.Type // the types that t is part of
}

// counter returns how the elements of a value of type t are counted, nil if it has none. It is not ok if nobody
// can say how much a value holds, or the codec calls methods.
func (s *smallness) counter(t reflect.Type) (count elementCounter, ok bool) {
	if t == reflect.TypeFor[time.Time]() {
		return nil, !s.codec.CallsMethods(t)
	}
	if t.Size() > largestValue || slices.Contains(s.path, t) || s.codec.CallsMethods(t) {
		return nil, false
	}
	s.path = append(s.path, t)
	defer func() { s.path = s.path[:len(s.path)-1] }()
	switch t.Kind() {
	case reflect.Slice:
		return s.list(t)
	case reflect.Array:
		return s.array(t)
	case reflect.Map:
		key, keyOK := s.counter(t.Key())
		elem, elemOK := s.counter(t.Elem())
		return reflect.Value.Len, keyOK && elemOK && key == nil && elem == nil
	case reflect.Pointer:
		return s.pointer(t)
	case reflect.Struct:
		return s.fields(t)
	case reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return nil, false
	}
	return nil, true
}

func (s *smallness) list(t reflect.Type) (elementCounter, bool) {
	if t.Elem().Kind() == reflect.Uint8 {
		return nil, !s.codec.CallsMethods(t.Elem()) // bytes are copied at once, like strings
	}
	elem, ok := s.counter(t.Elem())
	if elem == nil {
		return reflect.Value.Len, ok
	}
	return func(v reflect.Value) int { return v.Len() + countEach(v, elem) }, ok
}

func (s *smallness) array(t reflect.Type) (elementCounter, bool) {
	elem, ok := s.counter(t.Elem())
	if elem == nil {
		return nil, ok
	}
	return func(v reflect.Value) int { return countEach(v, elem) }, ok
}

// countEach counts what is in the elements of a list, unless they are too many.
func countEach(v reflect.Value, elem elementCounter) (n int) {
	for i := 0; i < v.Len() && i+n <= fewElements; i++ {
		n += elem(v.Index(i))
	}
	return n
}

func (s *smallness) pointer(t reflect.Type) (elementCounter, bool) {
	elem, ok := s.counter(t.Elem())
	if elem == nil {
		return nil, ok
	}
	return func(v reflect.Value) int {
		if v.IsNil() {
			return 0
		}
		return elem(v.Elem())
	}, ok
}

func (s *smallness) fields(t reflect.Type) (elementCounter, bool) {
	type field struct {
		index int
		count elementCounter
	}
	var counted []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue // no codec sees it
		}
		count, ok := s.counter(f.Type)
		if !ok {
			return nil, false
		}
		if count != nil {
			counted = append(counted, field{i, count})
		}
	}
	if counted == nil {
		return nil, true
	}
	return func(v reflect.Value) (n int) {
		for _, f := range counted {
			n += f.count(v.Field(f.index))
		}
		return n
	}, true
}
