package rpc_test

// unreadIsKnown: the kernel tells how much lies in a pipe, even when its reader is gone.
const unreadIsKnown = true
