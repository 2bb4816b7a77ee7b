package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// A row compares livejit with peers at one piece of work. Groups of rows are functions in files rows_*.go; a new
// group is one more entry of groups.
type row struct {
	work   string
	unit   string
	target float64 // the largest ratio of livejit to the first peer that was aimed at; 0: none
	sides  []side  // livejit first
}

// A side does the work once and returns its figure, a median of its own.
type side struct {
	name    string
	measure func(context.Context) (float64, error)
}

// group makes rows. The bed gives it the built peers and a place for files.
type group struct {
	name string
	rows func(context.Context, *bed) ([]row, error)
}

var groups = []group{
	{"replace", replaceRows},
	{"link", linkRows},
	{"calls", callRows},
	{"exceptions", exceptionRows},
	{"sqlite", sqliteRows},
	{"start", startRows},
	{"debugger", debuggerRows},
}

// outcome is a row with its figures, as --json prints it.
type outcome struct {
	Work   string       `json:"work"`
	Unit   string       `json:"unit"`
	Target float64      `json:"target_ratio,omitempty"`
	Sides  []sideResult `json:"sides"`
	Ratio  float64      `json:"ratio,omitempty"` // livejit to the first peer: median of the rounds' ratios
	Low    float64      `json:"ratio_low,omitempty"`
	High   float64      `json:"ratio_high,omitempty"`
}

type sideResult struct {
	Name   string    `json:"name"`
	Median float64   `json:"median,omitempty"`
	All    []float64 `json:"rounds,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// sideBySide measures the rows of the groups chosen by name ("" for all), the sides of a row in turn, and prints one table.
func sideBySide(ctx context.Context, only string, o options) error {
	b, err := newBed(ctx, o)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	var all []outcome
	for _, g := range groups {
		if only != "" && only != g.name {
			continue
		}
		rows, err := g.rows(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		for _, r := range rows {
			fmt.Fprintf(os.Stderr, "bench: %s\n", r.work)
			result, err := r.run(ctx, o.rounds)
			if err != nil {
				return fmt.Errorf("%s: %w", r.work, err)
			}
			all = append(all, result)
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	return printTable(os.Stdout, all)
}

// run measures all sides in turn. A peer that fails is told with its reason; livejit must not fail.
func (r row) run(ctx context.Context, rounds int) (outcome, error) {
	o := outcome{Work: r.work, Unit: r.unit, Target: r.target, Sides: make([]sideResult, len(r.sides))}
	for range rounds {
		for i, s := range r.sides {
			o.Sides[i].Name = s.name
			if o.Sides[i].Error != "" {
				continue
			}
			v, err := s.measure(ctx)
			if err != nil && i == 0 {
				return o, err
			}
			if err != nil {
				o.Sides[i].Error = err.Error()
				continue
			}
			o.Sides[i].All = append(o.Sides[i].All, v)
		}
	}
	for i := range o.Sides {
		o.Sides[i].Median = middle(o.Sides[i].All)
	}
	if len(o.Sides) > 1 && o.Sides[1].Error == "" {
		var ratios []float64
		for i, v := range o.Sides[0].All {
			ratios = append(ratios, v/o.Sides[1].All[i])
		}
		o.Ratio, o.Low, o.High = middle(ratios), slices.Min(ratios), slices.Max(ratios)
	}
	return o, nil
}

func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}

// printTable prints a Markdown table, ready for docs/performance.md.
func printTable(w io.Writer, all []outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| work\t| livejit\t| peers\t| ratio (lowest-highest)\t| target\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|")
	for _, o := range all {
		var peers []string
		for _, s := range o.Sides[1:] {
			if s.Error != "" {
				first, _, _ := strings.Cut(s.Error, "\n")
				peers = append(peers, fmt.Sprintf("%s: failed (%s)", s.Name, first))
				continue
			}
			peers = append(peers, fmt.Sprintf("%s %.4g", s.Name, s.Median))
		}
		target, ratio := "-", "-"
		if o.Target > 0 {
			target = fmt.Sprintf("%.3g", o.Target)
			if o.Ratio > o.Target {
				target += " missed"
			}
		}
		if o.Ratio > 0 {
			ratio = fmt.Sprintf("%.3g (%.3g-%.3g)", o.Ratio, o.Low, o.High)
		}
		fmt.Fprintf(t, "| %s\t| %.4g %s\t| %s\t| %s\t| %s\t|\n", o.Work, o.Sides[0].Median, o.Unit, strings.Join(peers, "; "), ratio, target)
	}
	return t.Flush()
}

// cacheDir holds the built peers; nothing built is kept in the tree.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "livejit", "bench")
	return dir, os.MkdirAll(dir, 0o755)
}
