package reactor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPageOfPainsNamesTestsThatExist: docs/pains.md has all twenty rows, each with
// a test, and every test it names is there.
func TestPageOfPainsNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../docs/pains.md")
	must(t, err)
	files, err := filepath.Glob("../*/*_test.go")
	must(t, err)
	deeper, err := filepath.Glob("../*/*/*_test.go")
	must(t, err)
	var tests strings.Builder
	for _, name := range append(files, deeper...) {
		source, err := os.ReadFile(name)
		must(t, err)
		tests.Write(source)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 80 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, name := range named {
		if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(t *testing.T)") {
			t.Errorf("there is no %s", name[1])
		}
	}
	for i := range 20 {
		if !strings.Contains(string(page), fmt.Sprintf("\n| %d | ", i+1)) {
			t.Errorf("there is no row %d", i+1)
		}
	}
}
