package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"livejit"
	"livejit/internal/csources"
)

// sqliteBitcode compiles SQLite to bitcode by clang.
func sqliteBitcode(level string) ([]byte, error) {
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("clang-22", level, "-fPIC", "-c", "-emit-llvm", "-I"+dir, "-o", "-", filepath.Join(dir, "sqlite3-binding.c")).Output()
	if err != nil {
		return nil, fmt.Errorf("clang: %w", err)
	}
	return out, nil
}

// sqliteRows: a real program of 2,600 functions.
func sqliteRows(ctx context.Context, b *bed) ([]row, error) {
	bitcode, err := sqliteBitcode("-O0")
	if err != nil {
		return nil, err
	}
	inMS := func(measure func() (time.Duration, error)) func(context.Context) (float64, error) {
		return func(context.Context) (float64, error) {
			d, err := measure()
			return ms(d), err
		}
	}
	first := func(o ...livejit.Option) func(context.Context) (float64, error) {
		return inMS(func() (time.Duration, error) { return firstCall(ctx, bitcode, o...) })
	}
	work, err := sqliteWorkload(ctx, b)
	if err != nil {
		return nil, err
	}
	return []row{
		{"load SQLite, -O0", "ms", 1.25, []side{
			{"livejit", inMS(func() (time.Duration, error) { d, _, err := loadOnce(ctx, bitcode); return d, err })},
			{"LLVM, one object", inMS(func() (time.Duration, error) { return emitAlone(bitcode) })}}},
		{"SQLite until a first call returns, lazily", "ms", 0.2, []side{{"livejit", first(livejit.WithLazy())}, {"livejit, eagerly", first()}}},
		work,
	}, nil
}

// firstCall loads SQLite and calls one function of it.
func firstCall(ctx context.Context, bitcode []byte, o ...livejit.Option) (time.Duration, error) {
	e, err := livejit.New(o...)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	start := time.Now()
	if _, err := e.Add(ctx, livejit.Bitcode("sqlite", bitcode)); err != nil {
		return 0, err
	}
	var version func() (int32, error)
	if err := e.Bind("sqlite3_libversion_number", &version); err != nil {
		return 0, err
	}
	if n, err := version(); err != nil || n < 3_000_000 {
		return 0, fmt.Errorf("sqlite3_libversion_number() = %d, %w", n, err)
	}
	return time.Since(start), nil
}

// sqliteWorkload is the row of the workload at -O2: its main alone, without loading.
func sqliteWorkload(ctx context.Context, b *bed) (row, error) {
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		return row{}, err
	}
	workload := filepath.Join(b.root, "testdata", "sqlite", "workload.c")
	program := filepath.Join(b.dir, "sqlite-workload")
	if _, err := output(ctx, "clang-22", "-O2", "-I"+dir, filepath.Join(dir, "sqlite3-binding.c"), workload, "-o", program, "-lm", "-lpthread", "-ldl"); err != nil {
		return row{}, err
	}
	return row{"SQLite workload, -O2", "ms", 1 / 0.9, []side{b.worker("workload", "workload"), wall("clang -O2", 1, program)}}, nil
}

// runWorkload loads SQLite and its workload at -O2 and tells how long main takes, in ms.
func runWorkload(ctx context.Context) (float64, error) {
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		return 0, err
	}
	root, err := csources.Root()
	if err != nil {
		return 0, err
	}
	sources, err := workloadSources(ctx, dir, root)
	if err != nil {
		return 0, err
	}
	took, err := workloadOnce(ctx, sources)
	return ms(took), err
}

// startRows: a whole process that runs a small program.
func startRows(ctx context.Context, b *bed) ([]row, error) {
	source, program := filepath.Join(b.dir, "hello.ll"), filepath.Join(b.dir, "livejit")
	text := `@text = private constant [6 x i8] c"hello\00"
declare i32 @puts(ptr)
define i32 @main() {
  %r = call i32 @puts(ptr @text)
  ret i32 0
}
`
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/livejit")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	return []row{{"livejit run hello.ll", "ms", 1.2, []side{wall("livejit", 5, program, "run", source), wall("lli", 5, "lli-22", source)}}}, nil
}
