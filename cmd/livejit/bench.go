package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"livejit/bench/figures"
)

const benchUsage = `livejit bench measures replacing, deleting, memory and calls on this machine.

Usage: livejit bench [--functions N] [--replacements K] [--json]

N small functions are loaded (default 1000), single ones are replaced K times (default 1000), then
K unused functions are deleted. Times are medians. --json prints one JSON array.
`

// bench is the verb.
func bench(args []string) (int, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	functions := flags.Int("functions", 1000, "")
	replacements := flags.Int("replacements", 1000, "")
	asJSON := flags.Bool("json", false, "")
	if err := flags.Parse(args); err != nil {
		return 2, &usageError{"bench", err.Error()}
	}
	switch {
	case flags.NArg() > 0:
		return 2, &usageError{"bench", "it takes no files"}
	case *functions < 1 || *replacements < 1:
		return 2, &usageError{"bench", "--functions and --replacements are at least 1"}
	}
	ctx := context.Background()
	replace, err := figures.Replace(ctx, *functions, *replacements)
	calls, errCalls := figures.Calls(ctx)
	hops, errHops := figures.CallChain(ctx)
	if err := errors.Join(err, errCalls, errHops); err != nil {
		return 1, err
	}
	return 0, printFigures(os.Stdout, append(append(replace, calls...), hops...), *asJSON)
}

func printFigures(w io.Writer, all []figures.Figure, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(all)
	}
	for _, f := range all {
		if _, err := fmt.Fprintf(w, "%12.1f %-5s  %s\n", f.Value, f.Unit, f.What); err != nil {
			return err
		}
	}
	return nil
}
