// Command bench prints livejit's figures on this machine, next to what they are to be
// compared with, measured in the same run: compare the ratios, machines differ.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	functions := flag.Int("functions", 100000, "functions of the large module")
	only := flag.String("only", "", "measure only this: peers, load, large, calls, engines or live")
	replacements := flag.Int("replacements", 1000000, "replacements of functions that are being called")
	rounds := flag.Int("rounds", 5, "times each load and each row is measured; medians are printed")
	groupName := flag.String("group", "", "of the peers, only this group of rows: replace, link, calls, exceptions, sqlite, start or debugger")
	asJSON := flag.Bool("json", false, "print the comparison with the peers as JSON, and nothing else")
	samples := flag.Int("samples", 1000, "replacements in each round of the comparison with the peers")
	picture := flag.String("plot", "", "write the plot of replacing and memory against the number of functions to this file, and nothing else")
	worker := flag.Bool("worker", false, "be livejit's side of one row (used by the program itself)")
	flag.Parse()
	ctx := context.Background()
	if *worker {
		if err := work(ctx, flag.Args()); err != nil {
			fmt.Fprintf(os.Stderr, "%+v\n", err)
			os.Exit(1)
		}
		return
	}
	if *asJSON || *groupName != "" {
		*only = "peers"
	}
	peers := options{rounds: *rounds, replacements: *samples, json: *asJSON}
	if *picture != "" {
		if err := plot(ctx, *picture, peers); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %+v\n", err)
			os.Exit(1)
		}
		return
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"peers", func() error { return sideBySide(ctx, *groupName, peers) }},
		{"load", func() error { return loadSQLite(ctx, *rounds) }},
		{"large", func() error { return loadLarge(ctx, *functions) }},
		{"calls", func() error { return calls(ctx) }},
		{"engines", func() error { return lifetimes(200) }},
		{"live", func() error { return replaceUnderLoad(ctx, *replacements) }},
	} {
		if *only != "" && *only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %+v\n", err)
			os.Exit(1)
		}
	}
}

// median of durations.
func median(d []time.Duration) time.Duration {
	s := slices.Clone(d)
	slices.Sort(s)
	return s[len(s)/2]
}

func title(text string) { fmt.Printf("\n%s\n", text) }

func line(what string, format string, a ...any) {
	fmt.Printf("  %-46s %s\n", what, fmt.Sprintf(format, a...))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
