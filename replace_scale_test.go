package livejit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"livejit"
)

// writeLog is a memory manager that notes what is written.
type writeLog struct {
	livejit.MemoryManager
	mu     sync.Mutex
	writes []livejit.Span
}

func (l *writeLog) Write(s livejit.Span, off uint64, p []byte) error {
	l.mu.Lock()
	l.writes = append(l.writes, s)
	l.mu.Unlock()
	return l.MemoryManager.Write(s, off, p)
}

// take returns what was written since it was called last.
func (l *writeLog) take() []livejit.Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.writes
	l.writes = nil
	return w
}

// chainIR is a module of n functions, each of which calls the one before.
func chainIR(n int) string {
	var b strings.Builder
	b.WriteString("define i64 @f0(i64 %x) { ret i64 %x }\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "define i64 @f%d(i64 %%x) { %%a = icmp eq i64 %%x, 0  br i1 %%a, label %%z, label %%c\nz: ret i64 %d\nc: %%b = sub i64 %%x, 1  %%r = call i64 @f%d(i64 %%b)  ret i64 %%r }\n", i, i, i-1)
	}
	return b.String()
}

// newVersionIR is a new version of function i of a chain.
func newVersionIR(i, value int) string {
	return fmt.Sprintf("declare i64 @f%d(i64)\ndefine i64 @f%d(i64 %%x) { %%a = icmp eq i64 %%x, 0  br i1 %%a, label %%z, label %%c\nz: ret i64 %d\nc: %%b = sub i64 %%x, 1  %%r = call i64 @f%d(i64 %%b)  ret i64 %%r }\n", i-1, i, value, i-1)
}

// TestReplaceWritesOnlyItsOwn replaces functions of modules of different sizes and looks at
// every write of memory: one for the code and one for the constants and unwind tables of the new version,
// whatever the number of functions; stubs and slots are not written but by one store each.
func TestReplaceWritesOnlyItsOwn(t *testing.T) {
	sizes := []int{1_000, 10_000, 100_000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			memory, err := livejit.NewMemoryManager(0)
			if err != nil {
				t.Fatal(err)
			}
			log := &writeLog{MemoryManager: memory}
			e, err := livejit.New(livejit.WithMemoryManager(log))
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			add(t, e, "chain", chainIR(n))
			for round := range 5 {
				i := 1 + (n-2)*round/5
				caller := i + 1
				log.take()
				before := e.Stats()
				r := replaceIR(t, e, "new", newVersionIR(i, 1_000_000+round))
				writes := log.take()
				wantVerdicts(t, r, fmt.Sprintf("replaced f%d@2", i))
				if r.Verdicts[0].Module != "chain" {
					t.Errorf("it belongs to module %s", r.Verdicts[0].Module)
				}
				f := e.Function(fmt.Sprint("f", i))
				current := f.Versions()[0]
				code := 0
				for _, w := range writes {
					switch w.Kind {
					case livejit.CodeMemory:
						code++
						if at := uint64(current.Addr); at < w.RX || at+uint64(current.Size) > w.RX+w.Size {
							t.Errorf("a write to code at %#x+%d, the new version is at %#x+%d", w.RX, w.Size, at, current.Size)
						}
					case livejit.ReadOnlyMemory:
					default:
						t.Errorf("a write to %s at %#x", w.Kind, w.RX)
					}
				}
				if code != 1 || len(writes) > 2 {
					t.Errorf("%d writes, %d of them to code", len(writes), code)
				}
				if got := call(t, e, fmt.Sprint("f", caller), 1); got != int64(1_000_000+round) {
					t.Errorf("f%d(1) = %d after the replacement of f%d", caller, got, i)
				}
				after := e.Stats()
				if after.Pieces != before.Pieces || after.Stubs != before.Stubs || after.Retired != 0 {
					t.Errorf("before: %+v\nafter: %+v", before, after)
				}
			}
		})
	}
}

// BenchmarkReplace replaces one small function of many that are loaded, from IR text until it is
// callable, old version freed.
func BenchmarkReplace(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, err := livejit.New()
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			add(b, e, "chain", chainIR(n))
			var d livejit.Stages
			b.ResetTimer()
			for i := range b.N {
				at := 1 + i*7919%(n-2)
				r, err := e.Replace(background, livejit.IR("new", newVersionIR(at, 1_000_000+i)))
				if err != nil {
					b.Fatal(err)
				}
				d.Parse += r.Duration.Parse
				d.Prepare += r.Duration.Prepare
				d.Codegen += r.Duration.Codegen + r.Duration.Optimize
				d.Read += r.Duration.Read
				d.Link += r.Duration.Link
			}
			per := func(name string, ns int64) { b.ReportMetric(float64(ns)/float64(b.N)/1000, name+"-µs") }
			per("parse", d.Parse.Nanoseconds())
			per("prepare", d.Prepare.Nanoseconds())
			per("codegen", d.Codegen.Nanoseconds())
			per("read", d.Read.Nanoseconds())
			per("link", d.Link.Nanoseconds())
		})
	}
}
