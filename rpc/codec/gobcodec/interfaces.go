package gobcodec

import (
	"encoding"
	"encoding/gob"
	"reflect"
	"sync"
)

// known has which types have interfaces in them: a type is looked through once.
var known sync.Map // by reflect.Type: bool

// hasInterfaces reports whether encoding/gob may find interfaces in a type.
func hasInterfaces(t reflect.Type) bool {
	has, ok := known.Load(t)
	if !ok {
		has, _ = known.LoadOrStore(t, make(search).find(t))
	}
	return has.(bool)
}

// search has the types that are being looked through or have been.
type search map[reflect.Type]bool

func (s search) find(t reflect.Type) bool {
	if t == nil || s[t] || decodesItself(t) {
		return false
	}
	s[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return s.find(t.Elem())
	case reflect.Map:
		return s.find(t.Key()) || s.find(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && s.find(f.Type) {
				return true
			}
		}
	}
	return false
}

// decodesItself reports whether a value of that type is bytes to encoding/gob, which the type takes apart.
func decodesItself(t reflect.Type) bool {
	for _, i := range []reflect.Type{reflect.TypeFor[gob.GobDecoder](), reflect.TypeFor[encoding.BinaryUnmarshaler]()} {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}
