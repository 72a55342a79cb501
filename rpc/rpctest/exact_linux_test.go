package rpctest_test

// exact: the OS tells how much of what was written has not been read.
const exact = true
