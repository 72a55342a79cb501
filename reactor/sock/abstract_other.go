//go:build !linux

package sock

// hasAbstract is false: "@name" is a file like others.
const hasAbstract = false
