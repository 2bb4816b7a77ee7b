// Command gcvm runs programs of a small Lisp on a virtual machine with a moving garbage collector: functions are compiled to LLVM IR and loaded by livejit, their pointers
// into the heap are found by the stack maps of statepoints (livejit.WithStatepoints, Engine.WalkStack), fields of records by inline caches (Engine.Patchpoints), and a program may
// define its functions anew while they run.
//
//	go run ./examples/gcvm [-stress] [-time 10m] [-O 0..3] [-stats] FILE.lisp...
//
// With -stress each allocation collects: every object moves, and where it was becomes unreadable. With -time a program is run again and again for so long, on a new
// machine each time; its output is shown once and must be the same each time. The language is told in examples/gcvm/programs/README.md.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	o := options{}
	flag.BoolVar(&o.stress, "stress", false, "collect at every allocation")
	flag.IntVar(&o.level, "O", 2, "optimisation `level`, 0 to 3")
	flag.IntVar(&o.heapSize, "heap", 1<<30, "largest heap in `bytes`; the collector takes twice as many")
	long := flag.Duration("time", 0, "run each program again for so `long`")
	stats := flag.Bool("stats", false, "tell what the collector did")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: gcvm [-stress] [-time 10m] [-O 0..3] [-stats] FILE.lisp...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if o.heapSize = o.heapSize &^ (firstSpace - 1); o.heapSize == 0 || o.level < 0 || o.level > 3 {
		fmt.Fprintln(os.Stderr, "gcvm: -heap must be a MiB at least, -O from 0 to 3")
		os.Exit(2)
	}
	for _, file := range flag.Args() {
		total, err := repeat(os.Stdout, file, o, *long)
		if *stats {
			fmt.Fprintf(os.Stderr, "%s: %s\n", file, total)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			os.Exit(1)
		}
	}
}

// totals is what machines did.
type totals struct {
	runs, collections, moved, frames int64
	taken                            time.Duration
}

func (t totals) String() string {
	return fmt.Sprintf("%d runs in %v, %d collections, %d objects moved, %d frames walked", t.runs, t.taken.Round(time.Millisecond), t.collections, t.moved, t.frames)
}

// repeat runs a program once, and again until the time is up.
func repeat(out io.Writer, file string, o options, long time.Duration) (t totals, err error) {
	program, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	start := time.Now()
	defer func() { t.taken = time.Since(start) }()
	var first bytes.Buffer
	if err := t.run(io.MultiWriter(out, &first), string(program), o); err != nil {
		return t, err
	}
	for time.Since(start) < long {
		var again bytes.Buffer
		if err := t.run(&again, string(program), o); err != nil {
			return t, fmt.Errorf("run %d: %w", t.runs+1, err)
		}
		if !bytes.Equal(again.Bytes(), first.Bytes()) {
			return t, fmt.Errorf("run %d has printed %q", t.runs, again.Bytes())
		}
	}
	return t, nil
}

func (t *totals) run(out io.Writer, program string, o options) error {
	m, err := newMachine(out, o)
	if err != nil {
		return err
	}
	err = m.run(program)
	t.runs++
	t.collections += m.heap.collections
	t.moved += m.heap.moved
	t.frames += m.heap.frames
	return errors.Join(err, m.close())
}
