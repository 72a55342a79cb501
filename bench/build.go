package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// buildC compiles a C program with cc -O2 and returns where it is. The name
// holds a hash of the source, so a changed source is never run stale.
func buildC(name string, source []byte) (string, error) {
	path, err := programC(name, source)
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
	file := filepath.Join(dir, name+".c")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return "", err
	}
	if out, err := exec.Command(cc, "-O2", "-o", file+".out", file).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w: %s", err, lastLine(string(out)))
	}
	return path, os.Rename(file+".out", path)
}

func programC(name string, source []byte) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(source)
	return filepath.Join(dir, fmt.Sprintf("%s-%x", name, hash[:8])), nil
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
