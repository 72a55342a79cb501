module github.com/evfork/evfork

go 1.26.0

require (
	github.com/fxamacker/cbor/v2 v2.10.0
	github.com/tidwall/evio v1.0.8
	github.com/valyala/bytebufferpool v1.0.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/kavu/go_reuseport v1.5.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
)
