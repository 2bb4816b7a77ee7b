package unwind_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The unwinder asks this package in any program that has it, in each way to build one.
func TestProgramWithoutCPlusPlus(t *testing.T) {
	for _, flags := range [][]string{nil, {"-buildmode=pie"}, {"-ldflags=-extldflags=-Wl,--as-needed"}} {
		program := filepath.Join(t.TempDir(), "plain")
		build := exec.Command("go", append(append([]string{"build", "-o", program}, flags...), "./testdata/plain")...)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build %v: %v\n%s", flags, err, out)
		}
		if out, err := exec.Command(program).CombinedOutput(); err != nil {
			t.Errorf("built with %v: %v\n%s", flags, err, out)
		}
	}
}
