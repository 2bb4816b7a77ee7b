package codegen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
)

// large is a module of n functions that is worth sharing.
func large(n int) []byte {
	var b strings.Builder
	b.WriteString("@v = global i32 7\n")
	for i := range n {
		fmt.Fprintf(&b, "define i32 @f%d() {\n%%a = load i32, ptr @v\n%%b = call i32 @f%d()\nret i32 %%b }\n", i, (i+1)%n)
	}
	b.WriteString("; " + strings.Repeat("x", 2*shareSize) + "\n")
	return []byte(b.String())
}

// definitions are the names that the objects define, sorted.
func definitions(c *Compiled) (names []string) {
	for _, part := range append([]*Compiled{c}, c.Rest...) {
		for _, s := range part.Graph.Symbols {
			if s.Def == linkgraph.Defined && s.Name != "" && !s.Anonymous && s.Scope != linkgraph.Local {
				names = append(names, s.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// TestShares compiles a module by one worker and by several: the same is defined, once.
func TestShares(t *testing.T) {
	in := Input{Name: "large", Data: large(100)}
	var want []string
	for _, workers := range []int{1, 2, 3} {
		c := newCompiler(t, Options{Workers: workers})
		out, err := c.Compile(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		got := definitions(out)
		if len(out.Rest) != min(workers, 2)-1 {
			t.Errorf("%d workers: %d more shares", workers, len(out.Rest))
		}
		if want == nil {
			want = got
		}
		if len(got) != 101 || !slices.Equal(got, want) {
			t.Errorf("%d workers define %v, one worker %v", workers, got, want)
		}
		out.Release()
	}
}

// TestSharesUnused closes programs that have not been compiled, or in part only.
func TestSharesUnused(t *testing.T) {
	c := newCompiler(t, Options{Workers: 2})
	in := Input{Name: "large", Data: large(50), Whole: true}
	open(t, c, in).Close()
	p := open(t, c, in)
	if p.shares == nil {
		t.Error("nobody shares the module")
	}
	out, err := p.CompilePart(context.Background(), []string{"f3"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Release()
	for name, text := range map[string]string{"module assembly": `module asm ".globl q"` + "\n", "an ifunc": "@i = ifunc void (), ptr @r\ndefine ptr @r() { ret ptr null }\n"} {
		in.Data = append([]byte(text), large(50)...)
		if p := open(t, c, in); p.shares != nil {
			t.Errorf("a module with %s is shared", name)
		}
	}
}

// TestSharesFail checks errors of reading and of each share's compiling, and a caller that has given up.
func TestSharesFail(t *testing.T) {
	c := newCompiler(t, Options{Workers: 2})
	ctx := context.Background()
	var e *llvm.Error
	if _, err := c.Compile(ctx, Input{Name: "broken", Data: append(large(10), "define i32 @x("...)}); !errors.As(err, &e) || e.Kind != llvm.KindParse {
		t.Errorf("broken text: %v", err)
	}
	n := llvm.ReadStats().Fatals
	for _, data := range [][]byte{append([]byte(givesUp), large(10)...), append(large(10), givesUp...)} {
		if _, err := c.Compile(ctx, Input{Name: "bad", Data: data}); !errors.As(err, &e) || e.Kind != llvm.KindFatal {
			t.Errorf("a share that LLVM gives up: %v", err)
		}
	}
	if got := llvm.ReadStats().Fatals; got < n+2 {
		t.Errorf("%d fatal errors, want 2", got-n)
	}
	p := open(t, c, Input{Name: "large", Data: large(50), Whole: true})
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.Compile(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}
