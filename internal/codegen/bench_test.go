package codegen

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"livejit/internal/csources"
)

const small = `define i64 @f(i64 %x) {
  %c = icmp sgt i64 %x, 0
  br i1 %c, label %a, label %b
a:
  %y = sub i64 %x, 1
  %r = call i64 @g(i64 %y)
  ret i64 %r
b:
  ret i64 3
}
declare i64 @g(i64)
`

// BenchmarkOpenPart is the way of one changed function: opened and compiled as a part, and compiled as a whole.
func BenchmarkOpenPart(b *testing.B) {
	ctx := context.Background()
	c, err := NewLLVM(Options{Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	in := Input{Name: "f.ll", Data: []byte(small)}
	b.Run("open, part", func(b *testing.B) {
		for b.Loop() {
			p, err := c.Open(ctx, in)
			if err != nil {
				b.Fatal(err)
			}
			out, err := p.CompilePart(ctx, []string{"f"}, nil)
			if err != nil {
				b.Fatal(err)
			}
			out.Release()
			p.Close()
		}
	})
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			out, err := c.Compile(ctx, in)
			if err != nil {
				b.Fatal(err)
			}
			out.Release()
		}
	})
}

// BenchmarkSQLite opens all of SQLite, and compiles one function after another of it.
func BenchmarkSQLite(b *testing.B) {
	ctx := context.Background()
	for _, flags := range [][]string{{"-O0"}, {"-O0", "-g"}} {
		bitcode := sqliteBitcode(b, flags...)
		c, err := NewLLVM(Options{Workers: 1})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		for form, name := range map[Form]string{Bitcode: "open", Own: "open own"} {
			b.Run(fmt.Sprint(name, flags), func(b *testing.B) {
				for b.Loop() {
					p, err := c.Open(ctx, Input{Name: "sqlite", Form: form, Data: bitcode})
					if err != nil {
						b.Fatal(err)
					}
					p.Close()
				}
			})
		}
		b.Run(fmt.Sprint("part", flags), func(b *testing.B) {
			p, err := c.Open(ctx, Input{Name: "sqlite", Form: Own, Data: bitcode})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			var names []string
			for _, f := range p.Summary.Functions {
				if f.Defined {
					names = append(names, f.Name)
				}
			}
			i := 0
			for b.Loop() {
				out, err := p.CompilePart(ctx, names[i%len(names):i%len(names)+1], nil)
				if err != nil {
					b.Fatal(err)
				}
				out.Release()
				i++
			}
		})
	}
}

// BenchmarkCompileSQLite compiles all of SQLite by one worker, and by two that share it.
func BenchmarkCompileSQLite(b *testing.B) {
	bitcode := sqliteBitcode(b, "-O0")
	for _, level := range []int{0, 2} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("O%d/workers=%d", level, workers), func(b *testing.B) {
				c, err := NewLLVM(Options{OptLevel: level, Workers: workers})
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				for b.Loop() {
					out, err := c.Compile(context.Background(), Input{Name: "sqlite", Form: Bitcode, Data: bitcode})
					if err != nil {
						b.Fatal(err)
					}
					out.Release()
				}
			})
		}
	}
}

// BenchmarkIRDebug compiles all of SQLite with its IR as its source: what that costs, and how large text and object are.
func BenchmarkIRDebug(b *testing.B) {
	bitcode := sqliteBitcode(b, "-O0")
	for _, dir := range []string{"", "/nowhere"} {
		b.Run(fmt.Sprintf("dir=%q", dir), func(b *testing.B) {
			c, err := NewLLVM(Options{Workers: 1, TextDir: dir})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for b.Loop() {
				out, err := c.Compile(context.Background(), Input{Name: "sqlite", Form: Bitcode, Data: bitcode})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(out.object.Bytes())), "object-bytes")
				if out.Text != nil {
					b.ReportMetric(float64(len(out.Text.Text)), "text-bytes")
				}
				out.Release()
			}
		})
	}
}

// sqliteBitcode is SQLite as clang compiles it with these flags.
func sqliteBitcode(tb testing.TB, flags ...string) []byte {
	tb.Helper()
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "sqlite.bc")
	args := append([]string{"-w", "-emit-llvm", "-c", "-fPIC", filepath.Join(dir, "sqlite3-binding.c"), "-o", file}, flags...)
	if out, err := exec.Command("clang-22", args...).CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	bitcode, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return bitcode
}
