package clang_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"livejit"
	"livejit/clang"
)

func TestSource(t *testing.T) {
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx := context.Background()
	var warned string
	_, err = e.Add(ctx,
		clang.Source("a.c", "long b(long);\nlong a(long x) { int unused; return b(x) + SCALE; }\n",
			clang.Options{Flags: []string{"-DSCALE=3", "-Wunused-variable"}, Warnings: func(text string) { warned = text }}),
		clang.Source("b.cpp", "template <class T> T twice(T x) { return x + x; }\nextern \"C\" long b(long x) { return twice(x); }\n",
			clang.Options{Lang: "c++"}))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if r, err := e.Call(ctx, "a", 4); r != int64(11) || err != nil {
		t.Errorf("a(4) = %v, %v", r, err)
	}
	if !strings.HasPrefix(warned, "a.c:2:22: warning: unused variable") {
		t.Errorf("warning %q", warned)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.cc")
	if err := os.WriteFile(path, []byte("#include <string>\nextern \"C\" long f() { return std::string(\"four\").size(); }\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	e, err := livejit.New(livejit.WithOptLevel(2))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Add(context.Background(), clang.File(path, clang.Options{OptLevel: 2})); err != nil {
		t.Fatalf("%+v", err)
	}
	if r, err := e.Call(context.Background(), "f"); r != int64(4) || err != nil {
		t.Errorf("f() = %v, %v", r, err)
	}
}

func TestErrors(t *testing.T) {
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		source livejit.Source
		want   string
		line   int // of the first diagnostic; 0: not a CompileError
	}{
		{"an error", context.Background(), clang.Source("x.c", "int f(void) {\n  return y;\n}\n", clang.Options{}), "x.c:2:10: error: use of undeclared identifier 'y'", 2},
		{"an error after a warning", context.Background(), clang.Source("x.c", "#warning first\nint f(void) { return y; }\n", clang.Options{}), "x.c:2:22: error: ", 2},
		{"a missing header", context.Background(), clang.Source("x.c", "#include \"nowhere.h\"\n", clang.Options{}), "x.c:1:10: error: 'nowhere.h' file not found", 1},
		{"an unknown flag", context.Background(), clang.Source("x.c", "", clang.Options{Flags: []string{"-fno-such-flag"}}), "error: unknown argument: '-fno-such-flag'", 0},
		{"a missing file", context.Background(), clang.File("nowhere.c", clang.Options{}), "no such file", 0},
		{"an ended context", ended, clang.Source("x.c", "", clang.Options{}), "context canceled", 0},
	} {
		_, err := e.Add(c.ctx, c.source)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
			continue
		}
		var failed *livejit.CompileError
		if c.line == 0 {
			continue
		}
		if !errors.As(err, &failed) || failed.Stage != "clang" || failed.Diagnostics[0].Line != c.line || failed.Diagnostics[0].SourceLine == "" {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
	if n := len(e.Modules()); n != 0 {
		t.Errorf("%d modules after errors", n)
	}
}

// TestBuffers: headers come from memory where they are there, and every file that was read is named.
func TestBuffers(t *testing.T) {
	dir := t.TempDir()
	onDisk := filepath.Join(dir, "disk.h")
	if err := os.WriteFile(onDisk, []byte("#define DISK 40\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var read []string
	inMemory := filepath.Join(dir, "memory.h")
	name := filepath.Join(dir, "x.c")
	_, err = e.Add(context.Background(), clang.Source(name, "#include \"disk.h\"\n#include \"memory.h\"\nint f(void) { return DISK + MEMORY; }\n", clang.Options{
		Buffers: []clang.Buffer{{Path: inMemory, Text: "#define MEMORY 2\n"}},
		Depends: func(files []string) { read = files },
	}))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if r, err := e.Call(context.Background(), "f"); r != int64(42) && r != int32(42) || err != nil {
		t.Errorf("f() = %v, %v", r, err)
	}
	for _, f := range []string{name, onDisk, inMemory} {
		if !slices.Contains(read, f) {
			t.Errorf("%s is not in the list of what was read: %q", f, read)
		}
	}
}

// TestManyAtOnce translates from several goroutines, good sources and bad ones.
func TestManyAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 10 {
				text := fmt.Sprintf("#include <stddef.h>\nsize_t f%d(void) { return %d; }\n", g, i)
				if i%3 == 2 {
					text += "syntax error"
				}
				name := fmt.Sprintf("g%d.c", g)
				_, err := clang.Source(name, text, clang.Options{}).Generate(context.Background())
				var failed *livejit.CompileError
				if bad := i%3 == 2; bad != errors.As(err, &failed) || bad && failed.Diagnostics[0].File != name {
					t.Errorf("%s, round %d: %v", name, i, err)
				}
			}
		})
	}
	all.Wait()
}

// TestFatal: clang gives up as a whole, and the next translation knows nothing of it.
func TestFatal(t *testing.T) {
	ctx := context.Background()
	for range 3 {
		_, err := clang.Source("f.c", "#pragma clang __debug llvm_fatal_error\n", clang.Options{}).Generate(ctx)
		var failed *livejit.CompileError
		if !errors.As(err, &failed) || !failed.Fatal || failed.Source != "f.c" {
			t.Fatalf("a fatal error gave %#v", err)
		}
		if _, err := clang.Source("g.c", "int g;\n", clang.Options{}).Generate(ctx); err != nil {
			t.Fatalf("after a fatal error: %v", err)
		}
	}
}

func BenchmarkTranslate(b *testing.B) {
	source := clang.Source("b.c", "int f(int x) { return x + 1; }\n", clang.Options{})
	for b.Loop() {
		if _, err := source.Generate(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
