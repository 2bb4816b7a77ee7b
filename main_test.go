package livejit_test

import (
	"fmt"
	"os"
	"testing"

	"livejit/internal/guard"
	"livejit/internal/llvm"
)

// testDir is a folder for what tests build once.
var testDir string

// TestMain fails the run if anything is left when all engines are closed.
func TestMain(m *testing.M) {
	var err error
	if testDir, err = os.MkdirTemp("", "livejit-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv(gdbProgramVariable) != "" {
		os.Exit(gdbProgram())
	}
	if what := os.Getenv(profileVariable); what != "" {
		os.Exit(profileProgram(what))
	}
	status := m.Run()
	os.RemoveAll(testDir)
	if n := guard.LiveCallbacks(); n != 0 {
		fmt.Fprintf(os.Stderr, "leak: %d callbacks\n", n)
		status = 1
	}
	if s := llvm.ReadStats(); s.Modules+s.Pipelines+s.Objects != 0 {
		fmt.Fprintf(os.Stderr, "leak: LLVM objects: %+v\n", s)
		status = 1
	}
	os.Exit(status)
}
