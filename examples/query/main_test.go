package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestQuery runs few queries; run itself checks all results. What is loaded must not grow.
func TestQuery(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 200, 1000); err != nil {
		t.Fatalf("%+v", err)
	}
	loaded := regexp.MustCompile(`(\d+) compiled in all, (\d+) modules and (\d+) bytes`).FindAllStringSubmatch(out.String(), -1)
	if len(loaded) != 2 || loaded[0][2] != "16" || loaded[1][2] != "16" || loaded[0][1] == loaded[1][1] {
		t.Errorf("not 16 modules with queries compiled all along:\n%s", out.String())
	}
}
