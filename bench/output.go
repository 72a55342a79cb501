package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// output is cmd.Output with what the program said about its failure.
func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLine(stderr.String()))
	}
	return string(out), nil
}

// outputNumber runs a program and returns the number that its output starts with.
func outputNumber(cmd *exec.Cmd) (float64, error) {
	out, err := output(cmd)
	if err != nil {
		return 0, err
	}
	number, _, _ := strings.Cut(strings.TrimSpace(out), " ")
	return strconv.ParseFloat(number, 64)
}
