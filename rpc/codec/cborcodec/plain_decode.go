package cborcodec

import (
	"encoding/binary"
	"math"
	"reflect"
	"unicode/utf8"
)

// decodePlain decodes data, all of it, into what value points to. It returns false if
// it cannot, having perhaps decoded a part.
func decodePlain(p *plan, data []byte, value reflect.Value) bool {
	d := plainDecoder{data: data}
	return d.decode(p, value) && len(d.data) == 0
}

// plainDecoder is what is still to be decoded.
type plainDecoder struct {
	data   []byte
	levels int
}

// decode decodes the next value. All of its kind return false for what they leave to
// package cbor.
func (d *plainDecoder) decode(p *plan, v reflect.Value) bool {
	switch p.kind {
	case reflect.String:
		text, ok := d.text()
		if ok {
			v.SetString(string(text))
		}
		return ok
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return d.integer(v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, ok := d.head(unsigned)
		if ok = ok && !v.OverflowUint(n); ok {
			v.SetUint(n)
		}
		return ok
	case reflect.Float64, reflect.Float32:
		return d.float(p, v)
	case reflect.Bool:
		if len(d.data) == 0 || d.data[0] != valueFalse && d.data[0] != valueTrue {
			return false
		}
		v.SetBool(d.data[0] == valueTrue)
		d.data = d.data[1:]
		return true
	}
	d.levels++
	ok := d.levels <= maxPlainLevels && d.composite(p, v)
	d.levels--
	return ok
}

func (d *plainDecoder) composite(p *plan, v reflect.Value) bool {
	switch {
	case p.kind == reflect.Slice && len(d.data) > 0 && d.data[0] == valueNull:
		v.SetZero()
		d.data = d.data[1:]
		return true
	case p.bytes:
		b, ok := d.octets(byteString)
		if ok {
			v.SetBytes(append(make([]byte, 0, len(b)), b...))
		}
		return ok
	case p.kind == reflect.Slice:
		return d.list(p, v)
	}
	return d.structure(p, v)
}

// head takes a head of a definite length with the given major type.
func (d *plainDecoder) head(major byte) (n uint64, ok bool) {
	if len(d.data) == 0 || d.data[0]&majorMask != major {
		return 0, false
	}
	size := 0
	switch n = uint64(d.data[0] &^ majorMask); {
	case n < 24:
		d.data = d.data[1:]
		return n, true
	case n > 27:
		return 0, false // of indefinite length, or reserved
	default:
		size = 1 << (n - 24)
	}
	if len(d.data) < 1+size {
		return 0, false
	}
	n = 0
	for _, b := range d.data[1 : 1+size] {
		n = n<<8 | uint64(b)
	}
	d.data = d.data[1+size:]
	return n, true
}

// octets takes a string; it is a view.
func (d *plainDecoder) octets(major byte) ([]byte, bool) {
	n, ok := d.head(major)
	if !ok || n > uint64(len(d.data)) {
		return nil, false
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b, true
}

func (d *plainDecoder) text() ([]byte, bool) {
	b, ok := d.octets(textString)
	return b, ok && utf8.Valid(b)
}

func (d *plainDecoder) integer(v reflect.Value) bool {
	n, ok := d.head(unsigned)
	i := int64(n)
	if !ok {
		n, ok = d.head(negative)
		i = ^int64(n)
	}
	if !ok || n > math.MaxInt64 || v.OverflowInt(i) {
		return false
	}
	v.SetInt(i)
	return true
}

// float takes what a float of the same size is encoded as.
func (d *plainDecoder) float(p *plan, v reflect.Value) bool {
	switch {
	case p.kind == reflect.Float64 && len(d.data) >= 9 && d.data[0] == double:
		v.SetFloat(math.Float64frombits(binary.BigEndian.Uint64(d.data[1:])))
		d.data = d.data[9:]
	case p.kind == reflect.Float32 && len(d.data) >= 5 && d.data[0] == single:
		v.SetFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(d.data[1:]))))
		d.data = d.data[5:]
	default:
		return false
	}
	return true
}

// list takes a list of elements, each of which is at least one byte.
func (d *plainDecoder) list(p *plan, v reflect.Value) bool {
	n, ok := d.head(list)
	if !ok || n > maxElements || n > uint64(len(d.data)) {
		return false
	}
	if v.SetZero(); n == 0 {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // not nil
		return true
	}
	v.Grow(int(n)) // MakeSlice would allocate the slice's header, too
	v.SetLen(int(n))
	for i := range int(n) {
		if !d.decode(p.elem, v.Index(i)) {
			return false
		}
	}
	return true
}

// structure takes a map with the names of fields. These usually come in the order of
// the fields; each may come once.
func (d *plainDecoder) structure(p *plan, v reflect.Value) bool {
	n, ok := d.head(pairs)
	if !ok || n > uint64(len(p.fields)) {
		return false
	}
	var seen uint64
	next := 0
	for range n {
		name, ok := d.octets(textString)
		if !ok {
			return false
		}
		i := next
		if i == len(p.fields) || p.fields[i].name != string(name) {
			if i = p.field(name); i < 0 {
				return false
			}
		}
		if seen&(1<<i) != 0 {
			return false
		}
		seen |= 1 << i
		next = i + 1
		f := &p.fields[i]
		if !d.decode(f.plan, v.Field(f.index)) {
			return false
		}
	}
	return true
}

// field is the place of the field with a name; -1 if there is none.
func (p *plan) field(name []byte) int {
	for i := range p.fields {
		if p.fields[i].name == string(name) {
			return i
		}
	}
	return -1
}
