package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Environment is what a figure depends on besides the code.
type Environment struct {
	Date     string `json:"date"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Kernel   string `json:"kernel"`
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	Compiler string `json:"compiler,omitempty"`
	Load     string `json:"load,omitempty"` // of the minute before the run
}

const unknown = "unknown"

func readEnvironment() Environment {
	return Environment{
		Date:     time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		Commit:   commit(),
		Go:       runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:   firstLineOf("uname", "-sr"),
		CPU:      cpuModel(),
		Cores:    runtime.NumCPU(),
		Compiler: firstLineOf("cc", "--version"),
		Load:     loadAverage(),
	}
}

// commit never takes git's index lock: a benchmark only looks.
func commit() string {
	hash := firstLineOf("git", "rev-parse", "--short", "HEAD")
	if hash == unknown {
		return hash
	}
	changed, err := exec.Command("git", "--no-optional-locks", "status", "--porcelain").Output()
	if err != nil || len(changed) > 0 {
		hash += "-dirty"
	}
	return hash
}

func firstLineOf(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return unknown
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

func cpuModel() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return firstLineOf("sysctl", "-n", "machdep.cpu.brand_string", "hw.model")
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, model, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH // ARM kernels name no model
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	oneMinute, _, _ := strings.Cut(string(text), " ")
	return oneMinute
}

type environmentLine struct{ name, value string }

func (e Environment) lines() []environmentLine {
	lines := []environmentLine{
		{"date", e.Date},
		{"commit", e.Commit},
		{"Go", e.Go},
		{"kernel", e.Kernel},
		{"CPU", e.CPU + ", " + strconv.Itoa(e.Cores) + " cores"},
	}
	if e.Compiler != "" && e.Compiler != unknown {
		lines = append(lines, environmentLine{"C compiler", e.Compiler})
	}
	if e.Load != "" {
		lines = append(lines, environmentLine{"load before the run", e.Load})
	}
	return lines
}
