// Package figures measures livejit alone: what `livejit bench` prints, and livejit's side of the comparison in
// bench. It uses the public API only, as any user would. Each group of figures is one function in a
// file of its own; a Figure is a median, and nothing here asserts a time.
package figures

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Figure is one measured value. Times are medians in microseconds, memory is in bytes.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	What  string  `json:"what"` // in words
}

// Function is the IR of function i of a chain of n: f<i>(x) calls f<i+1>(x-1) while x is positive.
// The peers generate the same text.
func Function(i, version, n int) string {
	callee, declaration := "add i64 %y, 0", ""
	if i+1 < n {
		callee = fmt.Sprintf("call i64 @f%d(i64 %%y)", i+1)
		declaration = fmt.Sprintf("declare i64 @f%d(i64)\n", i+1)
	}
	return fmt.Sprintf(`define i64 @f%d(i64 %%x) {
entry:
  %%c = icmp sgt i64 %%x, 0
  br i1 %%c, label %%more, label %%end
more:
  %%y = sub i64 %%x, 1
  %%r = %s
  %%z = add i64 %%r, %d
  ret i64 %%z
end:
  ret i64 %d
}
%s`, i, callee, i+version, version, declaration)
}

// Chain is all n functions in one module.
func Chain(n int) string {
	var b strings.Builder
	for i := range n {
		text, _, _ := strings.Cut(Function(i, 0, n), "declare")
		b.WriteString(text)
	}
	return b.String()
}

// median of durations, in microseconds.
func median(d []time.Duration) float64 {
	s := slices.Clone(d)
	slices.Sort(s)
	return float64(s[len(s)/2].Nanoseconds()) / 1000
}

// resident is the memory of this process that is in RAM, in bytes.
func resident() (int64, error) {
	f, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if value, ok := strings.CutPrefix(in.Text(), "Rss:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/smaps_rollup has no line Rss")
}
