// Package listvalues decodes the values of a list, for the packages that encode such lists.
package listvalues

import "fmt"

// Decode has unmarshal decode the values into what the pointers point to, one after the other. It is
// an error if there are fewer values than pointers; more are passed over. Errors begin with the name of
// the package.
func Decode[V ~[]byte](name string, values []V, into []any, unmarshal func(data []byte, to any) error) error {
	if len(values) < len(into) {
		return fmt.Errorf("%s: a list of %d values instead of %d", name, len(values), len(into))
	}
	for i, to := range into {
		if err := unmarshal(values[i], to); err != nil {
			return fmt.Errorf("%s: value %d: %w", name, i+1, err)
		}
	}
	return nil
}
