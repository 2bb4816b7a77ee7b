// Command sqlite loads SQLite's amalgamation function by function, runs a workload in it
// and prints where the time and the memory went. It is the project's demo.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
	"livejit/internal/csources"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "sqlite: %+v\n", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx := context.Background()
	dir, err := csources.Dir(csources.SQLite)
	if err != nil {
		return err
	}
	root, err := csources.Root()
	if err != nil {
		return err
	}
	fmt.Println("SQLite, function by function")
	start := time.Now()
	front := clang.Options{Flags: []string{"-I" + dir}}
	sources := []livejit.Source{
		clang.File(filepath.Join(dir, "sqlite3-binding.c"), front),
		clang.File(filepath.Join(root, "testdata", "sqlite", "workload.c"), front),
	}
	for i := range sources {
		if sources[i], err = sources[i].Generate(ctx); err != nil {
			return err
		}
	}
	row("C to LLVM bitcode by clang", time.Since(start))

	eng, err := livejit.New(livejit.WithArgs("workload"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	// A first load brings LLVM itself into memory; the figures are about the second.
	if err := flush(ctx, eng); err != nil {
		return err
	}
	debug.FreeOSMemory()
	before := process()
	m, err := eng.Add(ctx, sources...)
	if err != nil {
		return err
	}
	printLoad(m.Stats())
	sources = nil
	debug.FreeOSMemory()
	printMemory(eng, m.Stats(), before, process())

	fmt.Println("\nworkload, in the loaded SQLite")
	start = time.Now()
	status, err := eng.Main(ctx, "main")
	if err != nil {
		return err
	}
	if err := flush(ctx, eng); err != nil {
		return err
	}
	if status != 0 {
		return fmt.Errorf("the workload found wrong results: status %d", status)
	}
	fmt.Println()
	row("workload, all results right", time.Since(start))

	start = time.Now()
	if err := m.Close(); err != nil {
		return err
	}
	row("module closed", time.Since(start))
	s := eng.Stats()
	fmt.Printf("  left in the engine: %d functions, %d pieces, %d stubs, %d code bytes\n", s.Functions, s.Pieces, s.Stubs, s.Memory["code"].Bytes)
	return nil
}

func printLoad(s livejit.ModuleStats) {
	t := s.LoadDuration
	fmt.Printf("\nload: %d functions, %d separately placed pieces, %d relocations\n", s.Functions, s.Pieces, s.Edges)
	row("parse bitcode", t.Parse)
	row("prepare (make replaceable)", t.Prepare)
	row("LLVM code generation, -O0", t.Codegen)
	row("read object, build link graph", t.Read)
	row("link, place, publish", t.Link)
	row("all, until callable", t.Total)
}

func printMemory(eng *livejit.Engine, s livejit.ModuleStats, before, after usage) {
	each := func(bytes uint64) string {
		return fmt.Sprintf("%10d bytes %8.1f each function", bytes, float64(bytes)/float64(s.Functions))
	}
	all := eng.Stats()
	placed := s.CodeBytes + s.ConstBytes + s.DataBytes + s.UnwindBytes
	used := all.Memory["code"].Bytes + all.Memory["read-only data"].Bytes + all.Memory["data"].Bytes
	fmt.Println("\nmemory")
	fmt.Printf("  %-34s %s\n", "code", each(s.CodeBytes))
	fmt.Printf("  %-34s %s\n", "constants", each(s.ConstBytes))
	fmt.Printf("  %-34s %s\n", "variables", each(s.DataBytes))
	fmt.Printf("  %-34s %s\n", "unwind tables", each(s.UnwindBytes))
	fmt.Printf("  %-34s %s\n", "headers and padding", each(used-placed))
	fmt.Printf("  %-34s %s\n", "stubs and slots", each(uint64(all.Stubs)*24))
	fmt.Printf("  %-34s %s\n", "bitcode kept", each(s.KeptBytes))
	fmt.Printf("  mappings of the process: %d before, %d now; resident memory %+d KiB\n", before.mappings, after.mappings, after.resident-before.resident)
}

func row(what string, d time.Duration) {
	fmt.Printf("  %-34s %10.1f ms\n", what, float64(d.Microseconds())/1000)
}

// flush makes the C library write what the workload printed.
func flush(ctx context.Context, eng *livejit.Engine) error {
	m, err := eng.Add(ctx, livejit.IR("flush", "declare i32 @fflush(ptr)\ndefine i32 @flush_stdio() {\n  %r = call i32 @fflush(ptr null)\n  ret i32 %r\n}\n"))
	if err != nil {
		return err
	}
	if _, err := eng.Call(ctx, "flush_stdio"); err != nil {
		return err
	}
	return m.Close()
}

// usage is what the kernel says of this process.
type usage struct{ mappings, resident int }

func process() usage {
	var u usage
	if f, err := os.Open("/proc/self/maps"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			u.mappings++
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.resident, _ = strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return u
}
