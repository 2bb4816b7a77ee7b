package livejit_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestFragmentation replaces functions by ones of other sizes, in random order, and looks at
// how much memory is used for what lives: freed memory is used again.
func TestFragmentation(t *testing.T) {
	functions, rounds := 200, 3000
	if testing.Short() {
		rounds = 600
	}
	e := newEngine(t)
	rng := rand.New(rand.NewPCG(1, 2))
	body := func(i int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "define i64 @f%d(i64 %%x0) {\n", i)
		n := 1 + rng.IntN(60)
		for k := range n {
			fmt.Fprintf(&b, "%%x%d = mul i64 %%x%d, %d\n", k+1, k, rng.IntN(1000)+2)
		}
		fmt.Fprintf(&b, "ret i64 %%x%d }\n", n)
		return b.String()
	}
	var all strings.Builder
	for i := range functions {
		all.WriteString(body(i))
	}
	add(t, e, "all", all.String())
	for range rounds {
		replaceIR(t, e, "one", body(rng.IntN(functions)))
	}
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	code := e.Stats().Memory["code"]
	t.Logf("after %d replacements: %d bytes of code in use, %d resident, %d free in the largest gap", rounds, code.Bytes, code.Resident, code.LargestFree)
	const page = 4096
	if used := code.Bytes + 5*page; code.Resident > 3*used/2 { // stubs lie there, too
		t.Errorf("%d bytes of code take %d bytes of memory", code.Bytes, code.Resident)
	}
}
