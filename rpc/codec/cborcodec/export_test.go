package cborcodec

import "reflect"

var (
	DecodeAny = decodeAny
	AppendAny = appendAny
)

// IsPlain reports how a type is treated by Decode and by Append.
func IsPlain(t reflect.Type) (decodes, encodes bool) {
	p := planOf(t)
	return p != nil, p != nil && !p.omits
}

// DecodesPlain reports whether data is decoded without package cbor.
func DecodesPlain(data []byte, value any) bool {
	v := reflect.ValueOf(value).Elem()
	return decodePlain(planOf(v.Type()), data, v)
}
