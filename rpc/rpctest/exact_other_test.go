//go:build !linux

package rpctest_test

const exact = false
