package rpc

import (
	"errors"
	"maps"
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
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if sentinel := s[name]; sentinel != nil && errors.Is(err, sentinel) {
			names = append(names, name)
		}
	}
	return names
}

// errorOf is all the sentinels that have these names; nil if there are none.
func (s Sentinels) errorOf(names []string) error {
	var found []error
	for _, name := range names {
		found = append(found, s[name])
	}
	return errors.Join(found...)
}
