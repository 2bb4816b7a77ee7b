// Command live changes a program while it runs: a C program (program/loop.c) goes round its main
// loop in native code, and the functions that it calls are replaced, added and deleted under
// it, without stopping it. Its variables keep their values; changes that cannot be made
// under a running program are refused and leave no trace. In the end the function
// that the loop asks whether to go on is replaced, and the loop, which was never touched, returns.
//
//	go run ./examples/live
//
// It prints each round of the loop, indented, and each change with what became of every function and
// variable, and ends by itself after about two seconds.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
)

//go:embed program/loop.c
var program string

func main() {
	if err := run(os.Stdout, 80*time.Millisecond); err != nil {
		fmt.Fprintf(os.Stderr, "live: %+v\n", err)
		os.Exit(1)
	}
}

// change is one edit of the program's text.
type change struct{ what, old, new string }

var changes = []change{
	{"step doubles now", "return v + 1;", "return 2 * v;"},
	{"step calls a function that is new",
		"long step(long v) { return 2 * v; }",
		"long bonus(long v) { return 7; }\n\nlong step(long v) { return v + bonus(v); }"},
	{"a line more, and nothing else", "long run(void) {", "// The loop.\nlong run(void) {"},
	{"value becomes larger, which cannot be done under a running program",
		"static long value = 1;", "static __int128 value = 1;"},
	{"bonus is different", "return 7;", "return 1000;"},
}

// run runs the program and changes it. Each round of its loop takes at least pause.
func run(out io.Writer, pause time.Duration) (err error) {
	ctx := context.Background()
	eng, err := livejit.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()

	rounds := make(chan string)
	stopped := make(chan struct{}) // after an error nobody listens
	if err := eng.Define("show", func(tick, value int64) {
		select {
		case rounds <- fmt.Sprintf("    round %2d: value %d", tick, value):
		case <-stopped:
		}
	}); err != nil {
		return err
	}
	if err := eng.Define("rest", func() { time.Sleep(pause) }); err != nil {
		return err
	}
	if _, err := eng.Add(ctx, source(program)); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		value, err := eng.Call(ctx, "run")
		if err == nil {
			rounds <- fmt.Sprintf("the loop has returned %v", value)
		}
		close(rounds)
		ended <- err
	}()

	listen := func(n int) {
		for range n {
			if line, ok := <-rounds; ok {
				fmt.Fprintln(out, line)
			}
		}
	}
	failed := edit(ctx, out, eng, listen)
	if failed != nil {
		close(stopped)
	}
	if _, err := eng.Replace(ctx, source("int running(long tick) { return 0; }")); err != nil {
		return errors.Join(failed, err)
	}
	fmt.Fprintln(out, "the loop is told to end")
	for line := range rounds {
		fmt.Fprintln(out, line)
	}
	if err := errors.Join(failed, <-ended); err != nil {
		return err
	}
	if err := eng.Quiesce(ctx); err != nil {
		return err
	}
	s := eng.Stats()
	fmt.Fprintf(out, "%d old versions were freed, %d are left\n", s.Reclaimed, s.Retired)
	return nil
}

// edit makes all changes, with some rounds of the loop between them.
func edit(ctx context.Context, out io.Writer, eng *livejit.Engine, listen func(rounds int)) error {
	text := program
	listen(3)
	for _, c := range changes {
		next := strings.Replace(text, c.old, c.new, 1)
		start := time.Now()
		result, err := eng.Replace(ctx, source(next))
		fmt.Fprintf(out, "%s (%.1f ms, most of it clang)\n", c.what, float64(time.Since(start).Microseconds())/1000)
		var refused *livejit.RefusedError
		switch {
		case errors.As(err, &refused):
			fmt.Fprintln(out, "  "+refused.Error())
		case err != nil:
			return err
		default:
			text = next
			for _, v := range result.Verdicts {
				fmt.Fprintln(out, "  "+v.String())
			}
		}
		listen(3)
	}
	var inUse *livejit.InUseError
	if err := eng.Delete(ctx, "bonus"); !errors.As(err, &inUse) {
		return fmt.Errorf("deleted what step calls: %w", err)
	}
	fmt.Fprintf(out, "delete bonus\n  %v\n", inUse)
	_, err := eng.Update(ctx, func(u *livejit.Update) error {
		u.Replace(source("long step(long v) { return v - 1; }"))
		u.Delete("bonus")
		return nil
	})
	fmt.Fprintln(out, "step counts down, and bonus is deleted, in one transaction")
	listen(3)
	return err
}

func source(text string) livejit.Source {
	return clang.Source("loop.c", text, clang.Options{Flags: []string{"-g"}})
}
