package gobcodec

// typeID is a type's number in a gob.
type typeID int32

// The types that need no definition, as far as values have them (type.go of encoding/gob).
const (
	boolID typeID = iota + 1
	intID
	uintID
	floatID
	bytesID
	stringID
	complexID
	interfaceID
)

// firstDefined is the lowest number of a type that a gob defines.
const firstDefined typeID = 64

// The kinds of the types that are defined.
type wireKind uint8

const (
	arrayKind wireKind = iota
	sliceKind
	structKind
	mapKind
	opaqueKind // bytes that the type itself takes apart, in three ways
)

// wireType is a type that a gob has defined.
type wireType struct {
	kind   wireKind
	key    typeID // of a map
	elem   typeID // of an array, a list, a map
	length int64  // of an array
	fields []typeID
}

type wireTypes map[typeID]*wireType

// define reads the definition of a type: a struct with one field for each kind, of which one is there.
func (c *checker) define(id typeID) {
	var t *wireType
	c.fields(int(opaqueKind)+3, func(kind int) {
		if t != nil {
			c.fail(errCorrupt)
		}
		t = &wireType{kind: min(wireKind(kind), opaqueKind)}
		c.definition(t)
	})
	if t == nil || id < firstDefined || c.types[id] != nil {
		c.fail(errCorrupt)
		return
	}
	if c.types == nil {
		c.types = make(wireTypes)
	}
	c.types[id] = t
}

// definition reads what a kind is defined by; the first field is a name and a number again.
func (c *checker) definition(t *wireType) {
	name := func() { c.named() }
	elem := func() { t.elem = c.id() }
	switch t.kind {
	case arrayKind:
		c.structOf(name, elem, func() { t.length = c.int() })
	case sliceKind:
		c.structOf(name, elem)
	case structKind:
		c.structOf(name, func() { t.fields = c.fieldTypes() })
	case mapKind:
		c.structOf(name, func() { t.key = c.id() }, elem)
	case opaqueKind:
		c.structOf(name)
	}
}

// structOf reads a struct by a function for each field.
func (c *checker) structOf(fields ...func()) {
	c.fields(len(fields), func(i int) { fields[i]() })
}

// fieldTypes reads the list of a struct's fields.
func (c *checker) fieldTypes() []typeID {
	var types []typeID
	for n := c.uint(); n > 0 && c.err == nil; n-- {
		if len(c.buf) == 0 {
			c.fail(errTruncated)
		}
		types = append(types, c.named())
	}
	return types
}

// named reads a struct of a name and a type's number.
func (c *checker) named() (id typeID) {
	c.structOf(func() { c.skip(c.uint()) }, func() { id = c.id() })
	return id
}

// id reads a type's number. encoding/gob takes its low bits; one that has others is a lie.
func (c *checker) id() typeID {
	i := c.int()
	if i != int64(typeID(i)) {
		c.fail(errCorrupt)
		return 0
	}
	return typeID(i)
}
