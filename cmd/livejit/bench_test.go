package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"livejit/bench/figures"
)

func TestBenchTellsFigures(t *testing.T) {
	all, err := figures.Replace(t.Context(), 20, 50) // functions are replaced more than once
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printFigures(&out, all, true); err != nil {
		t.Fatal(err)
	}
	var back []figures.Figure
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if len(back) != 3 || back[0].Name != "replace" || back[0].Value <= 0 {
		t.Errorf("figures %+v", back)
	}
	for _, args := range [][]string{{"file.c"}, {"--functions", "0"}, {"--nonsense"}} {
		if status := dispatch(append([]string{"bench"}, args...), io.Discard, io.Discard); status != 2 {
			t.Errorf("bench %q: status %d, want 2", args, status)
		}
	}
}
