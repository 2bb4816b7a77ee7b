package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
)

// TestMain fails if a test left something of LLVM open.
func TestMain(m *testing.M) {
	code := m.Run()
	if s := llvm.ReadStats(); code == 0 && (s.Contexts != 0 || s.Modules != 0 || s.Pipelines != 0 || s.Objects != 0) {
		fmt.Fprintf(os.Stderr, "left open: %+v\n", s)
		code = 1
	}
	os.Exit(code)
}

const several = `
@v = internal global i64 5
@str = private unnamed_addr constant [3 x i8] c"ab\00"
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @ctor, ptr null }]
module asm ".globl q"
define internal void @ctor() { ret void }
define i64 @f() {
  %a = load i64, ptr @v
  %b = call i64 @g(i64 %a)
  ret i64 %b
}
define i64 @g(i64 %x) {
  %p = call i64 @puts(ptr @str)
  ret i64 %x
}
declare i64 @puts(ptr)
`

// gives up is a function that LLVM cannot compile here.
const givesUp = "define <vscale x 4 x i32> @bad(<vscale x 4 x i32> %a) { ret <vscale x 4 x i32> %a }\n"

func open(t testing.TB, c Compiler, in Input) *Program {
	t.Helper()
	p, err := c.Open(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func part(t testing.TB, p *Program, functions, variables []string) *Compiled {
	t.Helper()
	out, err := p.CompilePart(context.Background(), functions, variables)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Release)
	return out
}

// symbols splits the names of a graph into defined and undefined ones; sections and files are left out.
func symbols(g *linkgraph.Graph) (defined, undefined []string) {
	for _, s := range g.Symbols {
		switch {
		case s.Name == "" || strings.HasPrefix(s.Name, ".") || strings.HasSuffix(s.Name, ".ll"):
		case s.Block == linkgraph.None:
			undefined = append(undefined, s.Name)
		default:
			defined = append(defined, s.Name)
		}
	}
	slices.Sort(defined)
	slices.Sort(undefined)
	return defined, undefined
}

func TestParts(t *testing.T) {
	p := open(t, newCompiler(t, Options{}), Input{Name: "m.ll", Data: []byte(several)})
	tests := []struct {
		functions, variables []string
		defined, undefined   string
	}{
		{[]string{"f"}, nil, "f", "g v"},
		{[]string{"g"}, nil, "g", "puts"},
		{[]string{"g", "f"}, nil, "f g", "puts v"},
		{nil, []string{"v"}, "v", ""},
		{[]string{"f"}, []string{"v"}, "f v", "g"},
		{[]string{"ctor"}, nil, "ctor", ""},
	}
	for range 2 {
		for _, tt := range tests {
			out := part(t, p, tt.functions, tt.variables)
			defined, undefined := symbols(out.Graph)
			if got := strings.Join(defined, " "); got != tt.defined {
				t.Errorf("part %v %v defines %q, want %q", tt.functions, tt.variables, got, tt.defined)
			}
			if got := strings.Join(undefined, " "); got != tt.undefined {
				t.Errorf("part %v %v needs %q, want %q", tt.functions, tt.variables, got, tt.undefined)
			}
			if !slices.Equal(out.Functions, tt.functions) || out.Summary != nil {
				t.Errorf("part %v: functions %v, summary %v", tt.functions, out.Functions, out.Summary)
			}
		}
	}
	_, err := p.CompilePart(context.Background(), []string{"f", "nobody"}, nil)
	var e *llvm.Error
	if !errors.As(err, &e) || e.Kind != llvm.KindNotFound {
		t.Errorf("unknown function: %v", err)
	}
	text, err := p.IR("g")
	if err != nil || !strings.Contains(text, "define weak i64 @g(i64 %x)") || strings.Contains(text, "@f") {
		t.Errorf("IR of g: %v\n%s", err, text)
	}
	if p.Size() != len(several) {
		t.Errorf("size %d", p.Size())
	}
}

// TestSpentAndClosed: what a program can do no more is an error, not a crash.
func TestSpentAndClosed(t *testing.T) {
	ctx := context.Background()
	p := open(t, newCompiler(t, Options{}), Input{Name: "m.ll", Data: []byte(several)})
	part(t, p, []string{"f"}, nil)
	out, err := p.Compile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Release()
	if defined, _ := symbols(out.Graph); !slices.Contains(defined, "g") || out.Summary != p.Summary {
		t.Errorf("the whole defines %v", defined)
	}
	if _, err := p.CompilePart(ctx, []string{"f"}, nil); !errors.Is(err, ErrSpent) {
		t.Errorf("part of a spent program: %v", err)
	}
	if _, err := p.Compile(ctx); !errors.Is(err, ErrSpent) {
		t.Errorf("spent program: %v", err)
	}
	p.Close()
	p.Close()
	if _, err := p.CompilePart(ctx, []string{"f"}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("part of a closed program: %v", err)
	}
	if _, err := p.IR("f"); !errors.Is(err, ErrClosed) {
		t.Errorf("IR of a closed program: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	q := open(t, newCompiler(t, Options{}), Input{Name: "m.ll", Data: []byte(several)})
	if _, err := q.CompilePart(ended, []string{"f"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("under an ended context: %v", err)
	}
	part(t, q, []string{"f"}, nil)
}

// TestPoisoned: after LLVM has given up, the program says so, others do not notice, and the module can be opened anew.
func TestPoisoned(t *testing.T) {
	ctx := context.Background()
	c := newCompiler(t, Options{Workers: 1})
	p := open(t, c, Input{Name: "m.ll", Data: []byte(several + givesUp)})
	other := open(t, c, Input{Name: "other.ll", Data: []byte(several)})
	part(t, p, []string{"f"}, nil)
	kind := func(err error) llvm.ErrorKind {
		var e *llvm.Error
		if errors.As(err, &e) {
			return e.Kind
		}
		return 0
	}
	if _, err := p.CompilePart(ctx, []string{"bad"}, nil); kind(err) != llvm.KindFatal {
		t.Fatalf("bad: %v", err)
	}
	if _, err := p.CompilePart(ctx, []string{"f"}, nil); kind(err) != llvm.KindPoisoned {
		t.Errorf("part of a poisoned program: %v", err)
	}
	if _, err := p.IR("f"); kind(err) != llvm.KindPoisoned {
		t.Errorf("IR of a poisoned program: %v", err)
	}
	if _, err := p.Compile(ctx); kind(err) != llvm.KindPoisoned {
		t.Errorf("poisoned program: %v", err)
	}
	part(t, other, []string{"f"}, nil)
	b, err := p.Bitcode()
	if err != nil {
		t.Fatal(err)
	}
	part(t, open(t, c, Input{Name: "m.ll", Form: Own, Data: b}), []string{"f"}, nil)
}

// TestOwnBitcode: whatever a program was made of, its bitcode makes the same program.
func TestOwnBitcode(t *testing.T) {
	c := newCompiler(t, Options{})
	first := open(t, c, Input{Name: "m", Data: []byte(several)})
	text, err := first.Bitcode()
	if err != nil {
		t.Fatal(err)
	}
	x := llvm.NewContext()
	defer x.Close()
	m, err := x.ParseIR("m", []byte(several))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for name, in := range map[string]Input{
		"text":              {Name: "m", Data: []byte(several)},
		"text, kept":        {Name: "m", Data: []byte(several), Keep: true},
		"bitcode":           {Name: "m", Form: Bitcode, Data: text},
		"bitcode, kept":     {Name: "m", Form: Bitcode, Data: text, Keep: true},
		"own bitcode":       {Name: "m", Form: Own, Data: text},
		"another binding's": {Name: "m", Form: Foreign, Ref: m.Ref()},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, c, in)
			if want := in.Keep || in.Form == Own || in.Form == Foreign; (p.Kept != nil) != want {
				t.Errorf("kept %d bytes", len(p.Kept))
			}
			b, err := p.Bitcode()
			if err != nil {
				t.Fatal(err)
			}
			q := open(t, c, Input{Name: "m", Form: Own, Data: b})
			if !reflect.DeepEqual(p.Summary, q.Summary) || !reflect.DeepEqual(first.Summary, q.Summary) {
				t.Errorf("summaries differ:\n%+v\n%+v\n%+v", first.Summary, p.Summary, q.Summary)
			}
			whole, err := q.Compile(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer whole.Release()
			want := compile(t, c, "m", several)
			if !bytes.Equal(whole.object.Bytes(), want.object.Bytes()) {
				t.Error("objects differ")
			}
		})
	}
}

// TestCompilerClosedFirst: programs outlive their compiler.
func TestCompilerClosedFirst(t *testing.T) {
	c, err := NewLLVM(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, c, Input{Name: "m.ll", Data: []byte(several)})
	q := open(t, c, Input{Name: "m.ll", Data: []byte(several)})
	part(t, p, []string{"f"}, nil)
	c.Close()
	part(t, p, []string{"f"}, nil)
	out, err := q.Compile(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out.Release()
}

// TestConcurrentParts compiles parts of a few programs from many goroutines, while others open, close and compile. What each
// gets must be the part it asked for. Without the lock of Program llvm.Context panics with "BUG: ... concurrent use"
// (tried: Program.lock returning nil at once).
func TestConcurrentParts(t *testing.T) {
	ctx := context.Background()
	c := newCompiler(t, Options{Workers: 2})
	const functions = 8
	var text strings.Builder
	for i := range functions {
		fmt.Fprintf(&text, "define i64 @f%d(i64 %%x) { %%r = call i64 @f%d(i64 %%x)  ret i64 %%r }\n", i, (i+1)%functions)
	}
	var programs []*Program
	for range 3 {
		programs = append(programs, open(t, c, Input{Name: "m.ll", Data: []byte(text.String())}))
	}
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range 30 {
				name, callee := fmt.Sprintf("f%d", (g+i)%functions), fmt.Sprintf("f%d", (g+i+1)%functions)
				p := programs[(g+i)%len(programs)]
				if i%10 == 9 { // one of its own, closed while others are open
					var err error
					if p, err = c.Open(ctx, Input{Name: "m.ll", Data: []byte(text.String())}); err != nil {
						t.Error(err)
						return
					}
					defer p.Close()
				}
				out, err := p.CompilePart(ctx, []string{name}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defined, undefined := symbols(out.Graph)
				if !slices.Equal(defined, []string{name}) || !slices.Equal(undefined, []string{callee}) {
					t.Errorf("part %s defines %v and needs %v", name, defined, undefined)
				}
				out.Release()
			}
		}()
	}
	wait.Wait()
}

// TestClosedWhileCompiling closes programs under the compiles of others: those get what they asked for, or ErrClosed.
func TestClosedWhileCompiling(t *testing.T) {
	c := newCompiler(t, Options{Workers: 2})
	for range 20 {
		p := open(t, c, Input{Name: "m.ll", Data: []byte(several)})
		var wait sync.WaitGroup
		for range 3 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for {
					out, err := p.CompilePart(context.Background(), []string{"g"}, nil)
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					out.Release()
				}
			}()
		}
		p.Close()
		wait.Wait()
	}
}

// TestPartIsReadable: the object of a part is one that any linker reads.
func TestPartIsReadable(t *testing.T) {
	out := part(t, open(t, newCompiler(t, Options{OptLevel: 2}), Input{Name: "m.ll", Data: []byte(several)}), []string{"f"}, []string{"v"})
	if _, err := elfobj.Read("part", out.object.Bytes()); err != nil {
		t.Fatal(err)
	}
}
