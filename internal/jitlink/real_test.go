package jitlink

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
)

// sqlite returns SQLite's object as livejit compiles it, or skips.
func sqlite(t testing.TB) []byte {
	t.Helper()
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
	return data
}

func TestSQLite(t *testing.T) {
	l := mustLink(t, sqlite(t))
	t.Logf("%+v", l.Stats)
	p := l.piece(t, "sqlite3_open")
	t.Logf("%+v", *p)
}

func BenchmarkSQLite(b *testing.B) {
	object := sqlite(b)
	f, err := elfobj.Read("sqlite.o", object)
	if err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, upTo int) {
		b.ReportAllocs()
		for b.Loop() {
			g, err := linkgraph.Build(f)
			if err != nil {
				b.Fatal(err)
			}
			if upTo == 0 {
				continue
			}
			l, _ := NewLink(g)
			r := &resolver{g: g}
			r.mark()
			if err := l.Plan(Options{Far: r.far}); err != nil {
				b.Fatal(err)
			}
			if upTo == 1 {
				continue
			}
			m := benchMemory{next: [3]uint64{0x1000_0000, 0x1800_0000, 0x1c00_0000}}
			if err := l.Allocate(&m); err != nil {
				b.Fatal(err)
			}
			r.fill()
			if err := l.FixUp(); err != nil {
				b.Fatal(err)
			}
			if err := l.Write(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("Build", func(b *testing.B) { run(b, 0) })
	b.Run("Plan", func(b *testing.B) { run(b, 1) })
	b.Run("All", func(b *testing.B) { run(b, 2) })
}

// benchMemory gives out addresses only.
type benchMemory struct{ next [3]uint64 }

func (m *benchMemory) Allocate(r Request) (Span, error) {
	addr := alignUp(m.next[r.Memory], max(r.Align, 16))
	m.next[r.Memory] = addr + r.Size
	return Span{Addr: addr, Size: r.Size, Memory: r.Memory}, nil
}
func (m *benchMemory) Write(Span, uint64, []byte) error { return nil }
func (m *benchMemory) Free(Span) error                  { return nil }
