package kqsim_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/kqsim"
)

// TestEveryQuirkIsInThePageAndInAPreset: one that is in neither is run by nobody.
func TestEveryQuirkIsInThePageAndInAPreset(t *testing.T) {
	page, err := os.ReadFile("../../docs/portability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Every quirk")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[kqsim.Quirks]()) {
		if !strings.Contains(table, "`"+field.Name+"`") {
			t.Errorf("the table of docs/portability.md does not name %s", field.Name)
		}
		used := false
		for _, quirks := range kqsim.Presets() {
			used = used || !reflect.ValueOf(quirks).FieldByIndex(field.Index).IsZero()
		}
		if !used {
			t.Errorf("no preset has %s", field.Name)
		}
	}
}
