package livejit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"livejit"
	"livejit/internal/csources"
)

// TestSplitSQLite takes SQLite apart, function by function. The parts, linked again by
// llvm-link, and the parts loaded one by one, do what SQLite does that was never split.
func TestSplitSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles SQLite several times")
	}
	source, err := csources.Dir(csources.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	workload, err := filepath.Abs("testdata/sqlite/workload.c")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	front := []string{"-O0", "-w", "-I" + source}
	clang := func(args ...string) { runTool(t, "clang-22", append(front, args...)...) }
	clang("-c", "-emit-llvm", filepath.Join(source, "sqlite3-binding.c"), "-o", at("sqlite.bc"))
	clang("-c", "-emit-llvm", workload, "-o", at("workload.bc"))
	clang(at("sqlite.bc"), at("workload.bc"), "-lm", "-o", at("direct"))
	want := runWorkload(t, at("direct"))

	whole := readFile(t, at("sqlite.bc"))
	parts, err := livejit.Split(livejit.Bitcode("sqlite", whole))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Logf("%d parts", len(parts))
	if len(parts) < 2000 {
		t.Errorf("%d parts, want one for each of SQLite's functions", len(parts))
	}
	seen := make(map[string]string)
	files := []string{"-o", at("linked.bc")}
	for i, p := range parts {
		if last := i == len(parts)-1; last != (len(p.Functions) == 0) {
			t.Errorf("part %d, %s, has the functions %v", i, p.Name, p.Functions)
		}
		for _, f := range p.Functions {
			if seen[f] != "" {
				t.Errorf("%s is in the parts %s and %s", f, seen[f], p.Name)
			}
			seen[f] = p.Name
		}
		path := at(fmt.Sprintf("part%d.bc", i))
		if err := os.WriteFile(path, p.Bitcode, 0o666); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}

	t.Run("linked", func(t *testing.T) {
		runTool(t, "llvm-link-22", files...)
		clang(at("linked.bc"), at("workload.bc"), "-lm", "-o", at("linked"))
		compare(t, want, runWorkload(t, at("linked")))
	})
	t.Run("loaded", func(t *testing.T) {
		livejit := buildCommand(t)
		compare(t, want, runWorkload(t, livejit, append(append([]string{"run", "-lm"}, files[2:]...), at("workload.bc"), "--")...))
	})
}

// runWorkload runs a program with 5,000 rows.
func runWorkload(t *testing.T, program string, prefix ...string) outcome {
	t.Helper()
	out, err := exec.Command(program, append(prefix, "5000")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, tail(string(out)))
	}
	return outcome{stdout: string(out)}
}
