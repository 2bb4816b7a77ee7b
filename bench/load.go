package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"livejit"
	"livejit/internal/llvm"
)

// loadSQLite compares loading SQLite as function-modules with LLVM alone emitting it as one
// object, in turn.
func loadSQLite(ctx context.Context, rounds int) error {
	title("load SQLite's amalgamation at -O0 (bitcode to callable), medians of " + strconv.Itoa(rounds))
	bitcode, err := sqliteBitcode("-O0")
	if err != nil {
		return err
	}
	var alone, loads []time.Duration
	var stats livejit.ModuleStats
	for range rounds {
		d, err := emitAlone(bitcode)
		if err != nil {
			return err
		}
		alone = append(alone, d)
		if d, stats, err = loadOnce(ctx, bitcode); err != nil {
			return err
		}
		loads = append(loads, d)
	}
	line("LLVM alone, one object (parse, codegen)", "%8.1f ms", ms(median(alone)))
	line("livejit, "+strconv.Itoa(stats.Functions)+" function-modules", "%8.1f ms", ms(median(loads)))
	line("ratio", "%8.2f", float64(median(loads))/float64(median(alone)))
	t := stats.LoadDuration
	line("  of the last: parse, prepare, codegen", "%.1f, %.1f, %.1f ms", ms(t.Parse), ms(t.Prepare), ms(t.Codegen))
	line("  read object and build graph, link", "%.1f, %.1f ms", ms(t.Read), ms(t.Link))
	return nil
}

// emitAlone is what a static compiler does: parse, and emit one object with one text section.
func emitAlone(bitcode []byte) (time.Duration, error) {
	runtime.GC()
	start := time.Now()
	c := llvm.NewContext()
	defer c.Close()
	m, err := c.ParseBitcode("sqlite", bitcode)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	p, err := llvm.NewPipeline(llvm.PipelineOptions{OneSection: true})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	object, err := p.Emit(m)
	if err != nil {
		return 0, err
	}
	d := time.Since(start)
	object.Release()
	return d, nil
}

func loadOnce(ctx context.Context, bitcode []byte) (time.Duration, livejit.ModuleStats, error) {
	e, err := livejit.New()
	if err != nil {
		return 0, livejit.ModuleStats{}, err
	}
	defer e.Close()
	runtime.GC()
	start := time.Now()
	m, err := e.Add(ctx, livejit.Bitcode("sqlite", bitcode))
	if err != nil {
		return 0, livejit.ModuleStats{}, err
	}
	return time.Since(start), m.Stats(), nil
}

// loadLarge loads one module of n functions, calls each, and tells its memory and mappings.
func loadLarge(ctx context.Context, n int) error {
	title(fmt.Sprintf("one module of %d functions", n))
	e, err := livejit.New()
	if err != nil {
		return err
	}
	defer e.Close()
	if _, err := e.Add(ctx, livejit.IR("warm", "define i64 @warm() { ret i64 0 }")); err != nil {
		return err
	}
	text := largeModule(n)
	size := len(text)
	debug.FreeOSMemory()
	before := process()
	start := time.Now()
	m, err := e.Add(ctx, livejit.IR("large", text))
	if err != nil {
		return err
	}
	took := time.Since(start)
	text = ""
	debug.FreeOSMemory()
	after := process()
	s := m.Stats()
	line("load", "%8.1f ms, %.1f µs a function", ms(took), float64(took.Microseconds())/float64(n))
	placed := s.CodeBytes + s.ConstBytes + s.DataBytes
	kept := int64(s.KeptBytes)
	grown := int64(after.resident-before.resident) * 1024
	line("memory beyond code, data and kept IR", "%8.0f bytes a function", float64(grown-int64(placed)-kept)/float64(n))
	line("  resident memory, code and data, kept IR", "%.1f, %.1f, %.1f MiB", mib(grown), mib(int64(placed)), mib(kept))
	line("mappings", "%8d more (%d)", after.mappings-before.mappings, after.mappings)
	start = time.Now()
	got, err := e.Call(ctx, "f0", int64(n))
	if err != nil {
		return err
	}
	if want := int64(n) * int64(n-1) / 2; got != want {
		return fmt.Errorf("f0(%d) = %v, want %d (%d bytes of IR)", n, got, want, size)
	}
	line("call all, each from the one before", "%8.1f ns a call", float64(time.Since(start).Nanoseconds())/float64(n))
	return nil
}

// largeModule is a chain: f<i>(left) = i + f<i+1>(left-1). The last ends it.
func largeModule(n int) string {
	var b strings.Builder
	for i := range n {
		next := "  %r = call i64 @f" + strconv.Itoa(i+1) + "(i64 %m)\n"
		if i == n-1 {
			next = "  %r = add i64 0, 0\n"
		}
		fmt.Fprintf(&b, "define i64 @f%d(i64 %%n) {\n  %%m = sub i64 %%n, 1\n%s  %%s = add i64 %%r, %d\n  ret i64 %%s\n}\n", i, next, i)
	}
	return b.String()
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// usage is what the kernel says of this process.
type usage struct{ mappings, resident int }

func process() usage {
	var u usage
	maps, _ := os.ReadFile("/proc/self/maps")
	u.mappings = strings.Count(string(maps), "\n")
	status, _ := os.ReadFile("/proc/self/status")
	for l := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			u.resident, _ = strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return u
}
