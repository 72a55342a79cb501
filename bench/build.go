package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const workerPackages = "github.com/evfork/evfork/bench/workers/"

// cacheDir is where built programs are kept from run to run.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir() // no HOME: a build machine, or a bare container
	}
	dir := filepath.Join(base, "evfork-bench")
	return dir, os.MkdirAll(dir, 0o755)
}

// buildC compiles <name>.c of a directory of sources with cc -O2 and returns
// where the program is. Its name holds a hash of all sources and flags, so a
// changed source is never run stale.
func buildC(name string, sources fs.FS, flags ...string) (string, error) {
	path, err := programC(name, sources, flags...)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", errors.New("no C compiler: cc is not in PATH")
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "source")
	if err := os.CopyFS(copied, sources); err != nil {
		return "", err
	}
	built := filepath.Join(dir, name)
	args := append([]string{"-O2", "-o", built, filepath.Join(copied, name+".c")}, flags...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w: %s", err, compilerError(string(out)))
	}
	return path, os.Rename(built, path)
}

func programC(name string, sources fs.FS, flags ...string) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	err = fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		source, err := fs.ReadFile(sources, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(source), source)
		return err
	})
	fmt.Fprintf(hash, "%q", flags)
	return filepath.Join(dir, fmt.Sprintf("%s-%x", name, hash.Sum(nil)[:8])), err
}

// compilerError is the line that says what is wrong: a missing header, say.
func compilerError(output string) string {
	for line := range strings.Lines(output) {
		if _, message, found := strings.Cut(line, "error: "); found {
			return strings.TrimSpace(message)
		}
	}
	return lastLine(output)
}

// buildWorker builds bench/workers/<name> as any user would, with plain
// "go build": what a default build costs in memory is the question. The harness
// must run inside the bench module for that.
func buildWorker(name string) error {
	path, err := workerProgram(name)
	if err != nil {
		return err
	}
	out, err := exec.Command("go", "build", "-o", path, workerPackages+name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, lastLine(string(out)))
	}
	return nil
}

// workerProgram is where buildWorker puts the program.
func workerProgram(name string) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "worker-"+name), nil
}
