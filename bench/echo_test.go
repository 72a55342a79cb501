package main

import (
	"strings"
	"testing"
)

func TestReplyThatIsNotItsCallIsSeen(t *testing.T) {
	request := payload(32)
	shifted := append(payload(32)[1:], 'x')
	for _, test := range []struct {
		name    string
		replies [][]byte
		want    string
	}{
		{"an echo", [][]byte{request, request}, ""},
		{"shifted by a byte", [][]byte{shifted}, "differs from its call"},
		{"too short", [][]byte{request[1:]}, "31 bytes to a call of 32"},
		{"empty, after an echo", [][]byte{request, nil}, "0 bytes to a call of 32"},
	} {
		check := echoCheck{request: request}
		var err error
		for _, reply := range test.replies {
			err = check.check(reply)
		}
		if text := errorText(err); (test.want == "") != (err == nil) || !strings.Contains(text, test.want) {
			t.Errorf("%s: %q, want %q", test.name, text, test.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
