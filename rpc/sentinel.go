package rpc

import (
	"errors"
	"slices"
)

// Sentinels gives names to errors, so that errors.Is works across the wire: the
// same names are given to the same errors in Config of the parent and in
// ServerConfig of the child. A handler's error travels with the names of all those that it
// is, and the RemoteError that the caller gets is these errors, too. A name that the parent does
// not know is ignored. nil: none. It must not be changed while in use.
type Sentinels map[string]error

// namesOf are the names of the sentinels that err is, sorted.
func (s Sentinels) namesOf(err error) (names []string) {
	for name, sentinel := range s {
		if sentinel != nil && errors.Is(err, sentinel) {
			at, _ := slices.BinarySearch(names, name) // they are few
			names = slices.Insert(names, at, name)
		}
	}
	return names
}

// errorOf is all the sentinels that a list names; nil if there are none.
func (s Sentinels) errorOf(names Payload) (error, error) {
	var found []error
	var taken []string // a name may be repeated
	for len(names) > 0 {
		name, rest, err := names.Next()
		if err != nil {
			return nil, err
		}
		names = rest
		if sentinel := s[string(name)]; sentinel != nil && !slices.Contains(taken, string(name)) {
			found, taken = append(found, sentinel), append(taken, string(name))
		}
	}
	return errors.Join(found...), nil
}
