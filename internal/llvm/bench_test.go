package llvm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"livejit/internal/csources"
)

// sqlite returns the bitcode of SQLite's amalgamation, compiled once.
var sqlite = func() func(t testing.TB) []byte {
	var once sync.Once
	var bc []byte
	return func(t testing.TB) []byte {
		t.Helper()
		dir, err := csources.Dir(csources.SQLite)
		if err != nil {
			t.Skip(err)
		}
		once.Do(func() {
			out := filepath.Join(t.TempDir(), "sqlite.bc")
			tool(t, "clang-22", "-O0", "-w", "-emit-llvm", "-c", "-fPIC", filepath.Join(dir, "sqlite3-binding.c"), "-o", out)
			bc, err = os.ReadFile(out)
		})
		if err != nil || bc == nil {
			t.Fatal("SQLite's bitcode: ", err)
		}
		return bc
	}
}()

func prepared(t testing.TB, c *Context, name string, bc []byte) (*Module, *Summary) {
	t.Helper()
	m, err := c.ParseOwnBitcode(name, bc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Prepare(PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

// BenchmarkEmitSQLite compiles all of SQLite, with a section for each function and without.
func BenchmarkEmitSQLite(b *testing.B) {
	bc := sqlite(b)
	for _, level := range []int{0, 1, 2} {
		for _, one := range []bool{false, true} {
			b.Run(fmt.Sprintf("O%d/oneSection=%v", level, one), func(b *testing.B) {
				p := newPipeline(b, PipelineOptions{OptLevel: level, OneSection: one})
				var opt, gen time.Duration
				size := 0
				for b.Loop() {
					b.StopTimer()
					c := NewContext()
					m, _ := prepared(b, c, "sqlite3.c", bc)
					b.StartTimer()
					o, err := p.Emit(m)
					if err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					opt += o.Optimize
					gen += o.Codegen
					size = len(o.Bytes())
					o.Release()
					m.Close()
					c.Close()
					b.StartTimer()
				}
				b.ReportMetric(float64(opt.Microseconds())/1000/float64(b.N), "optimize-ms")
				b.ReportMetric(float64(gen.Microseconds())/1000/float64(b.N), "codegen-ms")
				b.ReportMetric(float64(size), "bytes")
			})
		}
	}
}

// BenchmarkLoadSQLite is what comes before Emit.
func BenchmarkLoadSQLite(b *testing.B) {
	bc := sqlite(b)
	for _, step := range []string{"parse", "parse own", "prepare", "bitcode", "verify"} {
		b.Run(step, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				c := NewContext()
				var m *Module
				var err error
				timed := func(f func()) {
					b.StartTimer()
					f()
					b.StopTimer()
				}
				switch step {
				case "parse":
					timed(func() { m, err = c.ParseBitcode("sqlite3.c", bc) })
				case "parse own":
					timed(func() { m, err = c.ParseOwnBitcode("sqlite3.c", bc) })
				default:
					m, err = c.ParseOwnBitcode("sqlite3.c", bc)
				}
				if err != nil {
					b.Fatal(err)
				}
				switch step {
				case "prepare":
					timed(func() { _, err = m.Prepare(PrepareOptions{}) })
				case "bitcode":
					timed(func() { _, err = m.Bitcode() })
				case "verify":
					timed(func() { err = m.Verify() })
				}
				if err != nil {
					b.Fatal(err)
				}
				m.Close()
				c.Close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkCutSQLite cuts out every function of SQLite; the figure is for one.
func BenchmarkCutSQLite(b *testing.B) {
	bc := sqlite(b)
	for _, emitted := range []bool{false, true} {
		name := "cut"
		if emitted {
			name = "cut and emit"
		}
		b.Run(name, func(b *testing.B) {
			p := newPipeline(b, PipelineOptions{})
			c := NewContext()
			defer c.Close()
			m, s := prepared(b, c, "sqlite3.c", bc)
			defer m.Close()
			var names []string
			for _, f := range s.Functions {
				if f.Defined {
					names = append(names, f.Name)
				}
			}
			var gen time.Duration
			i := 0
			b.ResetTimer()
			for b.Loop() {
				f, err := m.Cut(names[i%len(names)])
				if err != nil {
					b.Fatal(err)
				}
				if emitted {
					o, err := p.Emit(f)
					if err != nil {
						b.Fatal(err)
					}
					gen += o.Codegen
					o.Release()
				}
				f.Close()
				i++
			}
			if emitted {
				b.ReportMetric(float64(gen.Nanoseconds())/1000/float64(b.N), "codegen-µs")
			}
		})
	}
}

const smallIR = `define i64 @f(i64 %x) {
entry:
  %c = icmp sgt i64 %x, 0
  br i1 %c, label %a, label %b
a:
  %y = sub i64 %x, 1
  %r = call i64 @g(i64 %y)
  %z = add i64 %r, 7
  ret i64 %z
b:
  ret i64 3
}
declare i64 @g(i64)
`

// BenchmarkReplace is the way of one small function from text to object, through a reused pipeline and context.
func BenchmarkReplace(b *testing.B) {
	for level := range 4 {
		b.Run(fmt.Sprintf("O%d", level), func(b *testing.B) {
			p := newPipeline(b, PipelineOptions{OptLevel: level})
			c := newContext(b)
			var parse, prepare, opt, gen time.Duration
			text := []byte(smallIR)
			for b.Loop() {
				t0 := time.Now()
				m, err := c.ParseIR("f.ll", text)
				if err != nil {
					b.Fatal(err)
				}
				t1 := time.Now()
				if _, err := m.Prepare(PrepareOptions{}); err != nil {
					b.Fatal(err)
				}
				prepare += time.Since(t1)
				parse += t1.Sub(t0)
				o, err := p.Emit(m)
				if err != nil {
					b.Fatal(err)
				}
				opt += o.Optimize
				gen += o.Codegen
				o.Release()
				m.Close()
			}
			for unit, d := range map[string]time.Duration{"parse-µs": parse, "prepare-µs": prepare, "optimize-µs": opt, "codegen-µs": gen} {
				b.ReportMetric(float64(d.Nanoseconds())/1000/float64(b.N), unit)
			}
		})
	}
}

// BenchmarkPrepareMany prepares a module of many small functions; the figure is for one function.
func BenchmarkPrepareMany(b *testing.B) {
	for _, n := range []int{1000, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "define i32 @f%d(i32 %%x) nounwind { %%y = call i32 @f%d(i32 %%x)\n ret i32 %%y }\n", i, (i+1)%n)
			}
			c := newContext(b)
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				m, err := c.ParseIR("many.ll", []byte(text.String()))
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				t0 := time.Now()
				s, err := m.Prepare(PrepareOptions{})
				spent += time.Since(t0)
				if err != nil || len(s.Functions) != n {
					b.Fatal(err)
				}
				b.StopTimer()
				m.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(n), "ns/function")
		})
	}
}
