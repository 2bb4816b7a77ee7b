package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// plotSizes are the numbers of functions that the plot shows.
var plotSizes = []int{100, 300, 1_000, 3_000, 10_000}

// curve is one engine's values at plotSizes.
type curve struct {
	name, colour string
	values       []float64
}

// plot measures latency and memory against the number of functions and writes an SVG picture.
func plot(ctx context.Context, file string, o options) error {
	b, err := newBed(ctx, o)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	k := strconv.Itoa(o.replacements)
	latency := []curve{{"livejit", "#0b6e4f", nil}, {"ORC", "#b3261e", nil}, {"ORC, pipeline reused", "#c77700", nil}, {"MCJIT", "#5b5bd6", nil}}
	memory := []curve{latency[0], latency[1], latency[3]}
	for _, n := range plotSizes {
		count := strconv.Itoa(n)
		programs := [][]string{{b.self, "-worker", "replace", count, k}, {b.peers["orc"], count, k}, {b.peers["orc"], count, k, "reused"}, {b.peers["mcjit"], count, k}}
		for i, p := range programs {
			fmt.Fprintf(os.Stderr, "bench: %s, %d functions\n", latency[i].name, n)
			v, err := b.figureOf("replace", p[0], p[1:]...)(ctx)
			if err != nil {
				return err
			}
			latency[i].values = append(latency[i].values, v)
			at := map[int]int{0: 0, 1: 1, 3: 2}
			if j, ok := at[i]; ok {
				if v, err = b.figureOf("memory", p[0], p[1:]...)(ctx); err != nil {
					return err
				}
				memory[j].values = append(memory[j].values, v/1024)
			}
		}
	}
	var s strings.Builder
	s.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" width="960" height="400" font-family="sans-serif" font-size="13">` + "\n")
	s.WriteString(`<rect width="960" height="400" fill="white"/>` + "\n")
	panel(&s, 60, "replace one small function, µs", latency)
	panel(&s, 540, "memory of a small function, KiB", memory)
	s.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(s.String()), 0o644)
}

// panel draws one diagram with its left edge at x: functions on a logarithmic scale, values on a linear one from zero.
func panel(s *strings.Builder, x float64, title string, curves []curve) {
	const top, width, height = 60.0, 280.0, 270.0
	most := 0.0
	for _, c := range curves {
		for _, v := range c.values {
			most = max(most, v)
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 4 {
		step /= 2
	}
	most = math.Ceil(most/step) * step
	first, last := math.Log10(float64(plotSizes[0])), math.Log10(float64(plotSizes[len(plotSizes)-1]))
	xOf := func(i int) float64 { return x + width*(math.Log10(float64(plotSizes[i]))-first)/(last-first) }
	yOf := func(v float64) float64 { return top + height*(1-v/most) }
	fmt.Fprintf(s, `<text x="%.0f" y="%.0f" font-size="15">%s</text>`+"\n", x, top-25, title)
	for v := 0.0; v <= most+step/2; v += step {
		fmt.Fprintf(s, `<path d="M%.1f %.1fh%.0f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%g</text>`+"\n", x, yOf(v), width, x-6, yOf(v)+4, v)
	}
	for i, n := range plotSizes {
		fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`+"\n", xOf(i), top+height+20, n)
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="middle">functions</text>`+"\n", x+width/2, top+height+42)
	// Labels stand at the curves' ends, pushed apart where they would overlap.
	taken := []float64{}
	for _, c := range curves {
		var points []string
		for i, v := range c.values {
			points = append(points, fmt.Sprintf("%.1f,%.1f", xOf(i), yOf(v)))
		}
		fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), c.colour)
		y := yOf(c.values[len(c.values)-1]) + 4
		for moved := true; moved; {
			moved = false
			for _, t := range taken {
				if math.Abs(y-t) < 15 {
					y, moved = t+15, true
				}
			}
		}
		taken = append(taken, y)
		fmt.Fprintf(s, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", x+width+6, y, c.colour, c.name)
	}
}
