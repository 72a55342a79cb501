// Package codec has no code: below it are the codecs of typed calls, each in a
// package of its own, so that a program links only what it uses.
//
//   - rawcodec: bytes as they are; no copy, no allocation.
//   - stringcodec: lists of strings, as AnyEvent::Fork::RPC's STRING.
//   - jsoncodec: encoding/json.
//   - cborcodec: CBOR, by github.com/fxamacker/cbor.
//   - gobcodec: encoding/gob, for types that only gob can carry.
//
// They are named jsoncodec and not json, because who declares a method often
// imports encoding/json in the same file. None of them imports net.
package codec
