module github.com/evfork/evfork/bench

go 1.26.0

replace github.com/evfork/evfork => ../

require (
	github.com/evfork/evfork v0.0.0
	golang.org/x/sys v0.49.0
)

require github.com/valyala/bytebufferpool v1.0.0 // indirect
