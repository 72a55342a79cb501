package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// residentMemory reads what a process occupies now. The value is Rss of
// smaps_rollup: it is counted page by page, while VmRSS of status is taken from
// per-CPU counters that Linux 6.2 and later fold in lazily; VmRSS is kept
// as an extra because that is what ps and most published figures show.
func residentMemory(pid int) (Result, error) {
	rollup, err := readKilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Rss", "Anonymous")
	if err != nil {
		return Result{}, err
	}
	status, err := readKilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	if err != nil {
		return Result{}, err
	}
	return Result{
		Value: rollup["Rss"],
		Unit:  "kB",
		Extra: map[string]float64{anonymous: rollup["Anonymous"], "VmRSS kB": status["VmRSS"]},
	}, nil
}

// readKilobytes reads lines such as "Rss:    1234 kB".
func readKilobytes(path string, fields ...string) (map[string]float64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found := map[string]float64{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		for _, field := range fields {
			if name != field {
				continue
			}
			number := strings.TrimSuffix(strings.TrimSpace(rest), " kB")
			if found[field], err = strconv.ParseFloat(number, 64); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(found) != len(fields) {
		return nil, fmt.Errorf("%s: not all of %v are there", path, fields)
	}
	return found, nil
}

// canReadMemory is Available for contestants of memory scenarios.
func canReadMemory() error {
	_, err := residentMemory(os.Getpid())
	return err
}
