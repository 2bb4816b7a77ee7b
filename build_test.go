package livejit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"livejit"
)

// compile makes an object of a source text with a compiler driver, and returns it. The
// name's ending says the language, as it does to the driver.
func compile(t testing.TB, driver, name, text string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	source, output := filepath.Join(dir, name), filepath.Join(dir, "out.o")
	if err := os.WriteFile(source, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	runTool(t, driver, append(flags, "-w", "-c", source, "-o", output)...)
	return readFile(t, output)
}

// clangObject is an object made by clang at -O1, without unwind tables or stack protection
// to make it larger. The name has no ending.
func clangObject(t testing.TB, name, text string, flags ...string) livejit.Source {
	t.Helper()
	return livejit.Object(name+".o", compile(t, "clang-22", name+".c", text, append([]string{"-O1"}, flags...)...))
}

// assemble is an object of assembler text.
func assemble(t testing.TB, name, text string) livejit.Source {
	t.Helper()
	return livejit.Object(name+".o", compile(t, "clang-22", name+".s", text))
}

// member is a file of an archive.
type member struct {
	name string
	data []byte
}

// archiveOf makes an archive with an index.
func archiveOf(t testing.TB, name string, members ...member) livejit.Source {
	t.Helper()
	dir := t.TempDir()
	args := []string{"rcs", filepath.Join(dir, name)}
	for _, m := range members {
		path := filepath.Join(dir, m.name)
		if err := os.WriteFile(path, m.data, 0o666); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	runTool(t, "llvm-ar-22", args...) // indexes bitcode too
	return livejit.Archive(name, readFile(t, args[1]))
}

func runTool(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// call calls a function of integers by name.
func call(t testing.TB, e *livejit.Engine, name string, args ...any) int64 {
	t.Helper()
	r, err := e.Call(background, name, args...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return r.(int64)
}
