package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestLazy: lazily, a part is compiled; else everything.
func TestLazy(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatalf("%+v", err)
	}
	rows := regexp.MustCompile(`(?m)^(lazily|all at once): +(\d+) of (\d+) functions`).FindAllStringSubmatch(out.String(), -1)
	if len(rows) != 2 {
		t.Fatal(out.String())
	}
	some, _ := strconv.Atoi(rows[0][2])
	all, _ := strconv.Atoi(rows[0][3])
	if some == 0 || 2*some > all || rows[1][2] != rows[1][3] {
		t.Errorf("compiled %s of %s lazily, %s of %s at once", rows[0][2], rows[0][3], rows[1][2], rows[1][3])
	}
}
