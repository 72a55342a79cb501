package cborcodec

import (
	"encoding/binary"
	"math"
	"reflect"
)

// appendPlain appends a value's encoding, as package cbor makes it. It returns false for
// what it leaves to that, having perhaps appended a part.
func appendPlain(buf []byte, p *plan, v reflect.Value) ([]byte, bool) {
	return p.append(buf, v, 0)
}

func (p *plan) append(buf []byte, v reflect.Value, level int) ([]byte, bool) {
	switch p.kind {
	case reflect.String:
		s := v.String()
		return append(appendHead(buf, textString, uint64(len(s))), s...), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i := v.Int()
		if i < 0 {
			return appendHead(buf, negative, uint64(^i)), true
		}
		return appendHead(buf, unsigned, uint64(i)), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return appendHead(buf, unsigned, v.Uint()), true
	case reflect.Float64, reflect.Float32:
		return p.appendFloat(buf, v.Float())
	case reflect.Bool:
		if v.Bool() {
			return append(buf, valueTrue), true
		}
		return append(buf, valueFalse), true
	}
	if level == maxPlainLevels {
		return buf, false
	}
	if p.kind == reflect.Struct {
		return p.appendFields(buf, v, level+1)
	}
	return p.appendList(buf, v, level+1)
}

// appendFloat leaves alone what has no number: that has an encoding of its own.
func (p *plan) appendFloat(buf []byte, f float64) ([]byte, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return buf, false
	}
	if p.kind == reflect.Float32 {
		return binary.BigEndian.AppendUint32(append(buf, single), math.Float32bits(float32(f))), true
	}
	return binary.BigEndian.AppendUint64(append(buf, double), math.Float64bits(f)), true
}

func (p *plan) appendList(buf []byte, v reflect.Value, level int) ([]byte, bool) {
	switch {
	case v.IsNil():
		return append(buf, valueNull), true
	case p.bytes:
		b := v.Bytes()
		return append(appendHead(buf, byteString, uint64(len(b))), b...), true
	}
	n := v.Len()
	buf = appendHead(buf, list, uint64(n))
	ok := true
	for i := 0; i < n && ok; i++ {
		buf, ok = p.elem.append(buf, v.Index(i), level)
	}
	return buf, ok
}

func (p *plan) appendFields(buf []byte, v reflect.Value, level int) ([]byte, bool) {
	buf = appendHead(buf, pairs, uint64(len(p.fields)))
	ok := true
	for i := 0; i < len(p.fields) && ok; i++ {
		f := &p.fields[i]
		buf, ok = f.plan.append(append(buf, f.key...), v.Field(f.index), level)
	}
	return buf, ok
}
