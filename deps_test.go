package livejit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms is the import graph of the module: each package with the packages of the module it may import.
// A package without a row here fails the test, and so does an import that its row does not allow.
// Test files are free: they may import what they need to check.
var rooms = map[string][]string{
	"internal/elfobj":    {},
	"internal/ehframe":   {},
	"internal/linkgraph": {"internal/elfobj", "internal/ehframe"},
	"internal/jitlink":   {"internal/linkgraph", "internal/ehframe"},
	"internal/vmem":      {},
	"internal/codearena": {"internal/vmem"},
	"internal/stubtable": {"internal/codearena"},
	"internal/symtab":    {},
	"internal/epoch":     {},
	"internal/guard":     {"internal/threads", "internal/unwind"},
	"internal/threads":   {},
	"internal/unwind":    {},
	"internal/jitdebug":  {},
	"internal/hostsym":   {},
	"internal/crt":       {"internal/guard", "internal/hostsym"},
	"internal/llvm":      {},
	"internal/codegen":   {"internal/llvm", "internal/elfobj", "internal/linkgraph"},
	"stackmap":           {},
	"internal/csources":  {},
	"": {
		"internal/elfobj", "internal/ehframe", "internal/linkgraph", "internal/jitlink", "internal/vmem", "internal/codearena",
		"internal/stubtable", "internal/symtab", "internal/epoch", "internal/guard", "internal/threads", "internal/unwind", "internal/jitdebug",
		"internal/hostsym", "internal/crt", "internal/llvm", "internal/codegen", "stackmap",
	},
	"clang":          {"", "internal/llvm"},
	"inspect":        {"", "stackmap"},
	"internal/repl":  {"", "clang", "internal/llvm"},
	"internal/watch": {"", "clang"},
	"cmd/livejit":    {"", "clang", "inspect", "stackmap", "internal/repl", "internal/watch", "bench"},
	"examples":       {"", "clang", "inspect", "stackmap", "internal/csources"},
	"bench":          {"", "clang", "stackmap", "internal/llvm", "internal/codegen", "internal/csources"},
}

// pureGo lists the packages that build without cgo.
var pureGo = []string{"internal/elfobj", "internal/ehframe", "internal/linkgraph", "internal/jitlink", "internal/epoch", "stackmap"}

// outside says which packages may import from which other module, so that a dependency has one place where it is used.
var outside = map[string][]string{
	"golang.org/x/sys":                   {"internal/vmem", "internal/guard", "internal/hostsym", "internal/jitdebug", "internal/watch", "cmd/livejit"},
	"github.com/fsnotify/fsnotify":       {"internal/watch"},
	"github.com/chzyer/readline":         {"internal/repl"},
	"golang.org/x/arch":                  {"internal/jitlink", "", "inspect"},
	"github.com/klauspost/compress":      {"internal/elfobj"},
	"github.com/ianlancetaylor/demangle": {""},
}

// goPackage is what `go list` says of a package.
type goPackage struct {
	Dir, ImportPath, Name string
	Imports               []string
	CgoFiles              []string
	CXXFiles              []string
	CFiles                []string
	HFiles                []string
}

// room is the row of a package in the rooms table: every example is in one row, so is every benchmark, and a package
// that is internal to another shares its row.
func (p goPackage) room() string {
	path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "livejit"), "/")
	if at := strings.Index(path, "/internal/"); at > 0 {
		path = path[:at]
	}
	for _, shared := range []string{"examples", "bench"} {
		if path == shared || strings.HasPrefix(path, shared+"/") {
			return shared
		}
	}
	return path
}

func TestImportGraph(t *testing.T) {
	for _, p := range modulePackages(t) {
		room := p.room()
		allowed, known := rooms[room]
		if !known {
			t.Errorf("package %s has no row in the table of rooms: decide what it may import and write it down there and in docs/architecture.md", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			if path != "livejit" && !strings.HasPrefix(path, "livejit/") {
				continue
			}
			target := goPackage{ImportPath: path}.room()
			if !slices.Contains(allowed, target) && target != room {
				t.Errorf("package %s imports %s, which its row does not allow; it may import: %s", p.ImportPath, path, readable(allowed))
			}
		}
	}
}

func TestRoomsHaveNoCycle(t *testing.T) {
	const unseen, open, done = 0, 1, 2
	state := map[string]int{}
	var visit func(room string, way []string)
	visit = func(room string, way []string) {
		way = append(way, room)
		switch state[room] {
		case open:
			t.Errorf("the table of rooms has a cycle: %s", strings.Join(way, " → "))
			return
		case done:
			return
		}
		state[room] = open
		for _, next := range rooms[room] {
			if _, known := rooms[next]; !known {
				t.Errorf("the row of %q names %q, which has no row", room, next)
			}
			visit(next, way)
		}
		state[room] = done
	}
	for room := range rooms {
		if state[room] == unseen {
			visit(room, nil)
		}
	}
}

func TestOutsideImports(t *testing.T) {
	for _, p := range modulePackages(t) {
		for _, path := range p.Imports {
			first, _, _ := strings.Cut(path, "/")
			if !strings.Contains(first, ".") {
				continue // the standard library, or this module
			}
			allowed := false
			for module, users := range outside {
				if path == module || strings.HasPrefix(path, module+"/") {
					allowed = allowed || slices.Contains(users, p.room())
				}
			}
			if !allowed {
				t.Errorf("package %s imports %s: no row of the table of outside modules allows it", p.ImportPath, path)
			}
		}
	}
}

// TestLLVMStaysInItsRoom: one package includes LLVM's headers, and one Clang's; an engine fed with objects needs neither.
func TestLLVMStaysInItsRoom(t *testing.T) {
	include := regexp.MustCompile(`(?m)^\s*#\s*include\s*[<"](llvm|llvm-c|clang|clang-c)/`)
	for _, p := range modulePackages(t) {
		if p.room() == "internal/llvm" || p.room() == "clang" {
			continue
		}
		for _, file := range slices.Concat(p.CgoFiles, p.CXXFiles, p.CFiles, p.HFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if hit := include.Find(text); hit != nil {
				t.Errorf("%s/%s has %q: only internal/llvm and clang may include these headers", p.ImportPath, file, strings.TrimSpace(string(hit)))
			}
		}
	}
}

func TestPureGo(t *testing.T) {
	var present []string
	for _, p := range modulePackages(t) {
		if slices.Contains(pureGo, p.room()) {
			present = append(present, p.ImportPath)
		}
	}
	if len(present) == 0 {
		t.Skip("none of the packages is in this tree")
	}
	// Tests are built too: a test that needs cgo would hide what the package itself can do without.
	cmd := exec.Command("go", append([]string{"vet"}, present...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("CGO_ENABLED=0 go vet %s: %v\n%s", strings.Join(present, " "), err, out)
	}
}

func TestPackageNamesSayWhatIsInside(t *testing.T) {
	empty := regexp.MustCompile(`^(.*(manager|helpers?|utils?)|core|misc|common|base|shared)$`)
	for _, p := range modulePackages(t) {
		if empty.MatchString(p.Name) {
			t.Errorf("package %s: the name %q says nothing of what is inside", p.ImportPath, p.Name)
		}
	}
}

// modulePackages lists the packages of this module, without their dependencies.
func modulePackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Name,Imports,CgoFiles,CXXFiles,CFiles,HFiles", "./...").Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("go list ./...: %v\n%s", err, failed.Stderr)
		}
		t.Fatalf("go list ./...: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatalf("reading the answer of go list: %v", err)
		}
		packages = append(packages, p)
	}
}

func readable(rooms []string) string {
	if len(rooms) == 0 {
		return "nothing of this module"
	}
	names := make([]string, len(rooms))
	for i, room := range rooms {
		names[i] = room
		if room == "" {
			names[i] = "livejit"
		}
	}
	return strings.Join(names, ", ")
}
