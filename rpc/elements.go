package rpc

import (
	"reflect"
	"slices"
)

// What a value holds tells how long it takes to encode it: its type says how large it is, but for
// the elements of its lists and maps. Strings and bytes do not count: they are copied at once.

const (
	// largestType is the size in bytes of the largest types, wherever they are used, whose values can be small.
	largestType = 1 << 10
	// fewElements is how many elements there may be in all lists and maps of a small value.
	fewElements = 64
)

// elementCounter counts the elements of the lists and maps in a value. It stops soon after fewElements.
type elementCounter func(v reflect.Value) int

// smallness finds out whether the values of a type can be small.
type smallness struct {
	codec MethodlessCodec
	path  []reflect.Type // of which the type is a part: one of these would be recursive
}

// counter returns how the elements of values of type t are counted; nil: they have none. It is not ok if that cannot be
// said of all values, as of an interface's, or if the codec may call methods.
func (s *smallness) counter(t reflect.Type) (count elementCounter, ok bool) {
	if t.Size() > largestType || slices.Contains(s.path, t) || s.codec.CallsMethods(t) {
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
		return nil, !s.codec.CallsMethods(t.Elem())
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
