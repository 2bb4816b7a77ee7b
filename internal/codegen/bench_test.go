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
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		b.Skip(err)
	}
	for _, flags := range [][]string{{"-O0"}, {"-O0", "-g"}} {
		file := filepath.Join(b.TempDir(), "sqlite.bc")
		args := append([]string{"-w", "-emit-llvm", "-c", "-fPIC", filepath.Join(dir, "sqlite3-binding.c"), "-o", file}, flags...)
		if out, err := exec.Command("clang-22", args...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		bitcode, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
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
