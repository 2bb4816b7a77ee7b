package codegen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"livejit/internal/llvm"
)

func newCompiler(t *testing.T, o Options) *LLVM {
	t.Helper()
	c, err := NewLLVM(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func compile(t *testing.T, c Compiler, name, text string) *Compiled {
	t.Helper()
	out, err := c.Compile(context.Background(), Input{Name: name, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Release)
	return out
}

func TestCompile(t *testing.T) {
	var c Compiler = newCompiler(t, Options{})
	out := compile(t, c, "m.ll", "declare i64 @g()\ndefine internal i64 @f() { %r = call i64 @g()  ret i64 %r }\n@p = global ptr @f\n")
	found := make(map[string]bool)
	for _, s := range out.Graph.Symbols {
		found[s.Name] = true
	}
	if !found["f"] || !found["g"] || !found["p"] {
		t.Errorf("symbols of the graph: %v", found)
	}
	for _, f := range out.Summary.Functions {
		if f.Name == "f" && (!f.Local || f.Signature.Text != "i64 ()") {
			t.Errorf("summary of f: %+v", f)
		}
	}
	if out.Times.Parse == 0 || out.Times.Codegen == 0 {
		t.Errorf("times %+v", out.Times)
	}
}

func TestErrors(t *testing.T) {
	c := newCompiler(t, Options{Workers: 1})
	for _, text := range []string{
		"define i64 @f() { ret i32 0 }",
		"define <vscale x 4 x i32> @f(<vscale x 4 x i32> %a) { ret <vscale x 4 x i32> %a }", // LLVM gives up
	} {
		_, err := c.Compile(context.Background(), Input{Name: "bad.ll", Data: []byte(text)})
		var e *llvm.Error
		if !errors.As(err, &e) {
			t.Errorf("%.40s: %v, want an *llvm.Error", text, err)
		}
		compile(t, c, "good.ll", "define i64 @f() { ret i64 1 }")
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Compile(ended, Input{Name: "x", Data: nil}); !errors.Is(err, context.Canceled) {
		t.Errorf("under an ended context: %v", err)
	}
	if _, err := NewLLVM(Options{CPU: "no-such-processor"}); err == nil {
		t.Error("an unknown processor was accepted")
	}
}

// TestPoolsAreRenewed compiles more than the budget of source: what has seen too much is not kept.
func TestPoolsAreRenewed(t *testing.T) {
	c := newCompiler(t, Options{Workers: 1})
	comment := ";" + strings.Repeat("x", budget/2) + "\n"
	for i := range 4 {
		compile(t, c, "m.ll", comment+fmt.Sprintf("define i64 @f() { ret i64 %d }\n", i))
		c.mu.Lock()
		for _, p := range c.pipelines {
			if p.seen > budget {
				t.Errorf("a pipeline that has seen %d bytes is kept", p.seen)
			}
		}
		for _, x := range c.contexts {
			if x.seen > budget {
				t.Errorf("a context that has seen %d bytes is kept", x.seen)
			}
		}
		c.mu.Unlock()
	}
}

func TestConcurrentCompiles(t *testing.T) {
	c := newCompiler(t, Options{OptLevel: 1, Workers: 3})
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range 20 {
				text := fmt.Sprintf("define i64 @f%d(i64 %%x) { %%r = mul i64 %%x, %d  ret i64 %%r }\n", g, i)
				out, err := c.Compile(context.Background(), Input{Name: "m.ll", Data: []byte(text)})
				if err != nil {
					t.Error(err)
					return
				}
				if want := fmt.Sprintf("f%d", g); out.Summary.Functions[0].Name != want {
					t.Errorf("function %s, want %s", out.Summary.Functions[0].Name, want)
				}
				out.Release()
			}
		}()
	}
	wait.Wait()
}
