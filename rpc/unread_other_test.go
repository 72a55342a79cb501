//go:build !linux

package rpc_test

const unreadIsKnown = false
