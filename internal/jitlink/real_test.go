package jitlink

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compiled is SQLite's object, once it was asked for.
var compiled []byte

// sqlite returns SQLite's object as livejit compiles it, or skips.
func sqlite(t testing.TB) []byte {
	t.Helper()
	if compiled != nil {
		return compiled
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/mattn/go-sqlite3").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		cache, _ := exec.Command("go", "env", "GOMODCACHE").Output()
		found, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(cache)), "github.com/mattn/go-sqlite3@*"))
		if len(found) == 0 {
			t.Skip("module github.com/mattn/go-sqlite3 is not in the module cache")
		}
		dir = found[len(found)-1]
	}
	clang, err := exec.LookPath("clang-22")
	if err != nil {
		t.Skip("clang-22 is not installed")
	}
	object := filepath.Join(t.TempDir(), "sqlite.o")
	if msg, err := exec.Command(clang, "-O0", "-fPIC", "-ffunction-sections", "-fdata-sections", "-fno-plt",
		"-c", "-o", object, filepath.Join(dir, "sqlite3-binding.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	compiled = data
	return data
}

// TestSQLite links a large program and looks at a few of its pieces.
func TestSQLite(t *testing.T) {
	l := mustLink(t, sqlite(t))
	t.Logf("%+v", l.Stats)
	if l.Stats.Pieces < 2500 || l.Stats.GOTEntries != 0 || l.Stats.Veneers != 0 {
		t.Errorf("%+v", l.Stats)
	}
	p := l.piece(t, "sqlite3_open")
	if len(p.CodeStarts) != 1 || len(p.Refs) != 1 || l.Graph.SymbolName(p.Refs[0].Symbol) != "openDatabase" || p.Refs[0].Flags != RefCall {
		t.Errorf("%+v", *p)
	}
	for i := range l.Pieces {
		for _, start := range l.Pieces[i].CodeStarts {
			checkHeader(t, l, &l.Pieces[i], start)
		}
	}
}
