package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestLive runs the example without pauses and looks at what it prints.
func TestLive(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 0); err != nil {
		t.Fatalf("%+v\n%s", err, out.String())
	}
	text := out.String()
	at := 0
	for _, want := range []string{
		`round  1: value 2\n`, `round  3: value 4\n`,
		`step doubles now`, `  replaced step@2\n`, `  unchanged running@1\n`, `  unchanged run@1\n`, `  unchanged value\n`,
		`step calls a function that is new`, `  added bonus@1\n`, `  replaced step@3\n`,
		`a line more`, `  unchanged run@1: its lines moved\n`,
		`value becomes larger`, `  refused value: `,
		`bonus is different`, `  replaced bonus@2\n`,
		`delete bonus\n  bonus is in use: referenced by step`,
		`step counts down`, `the loop is told to end`, `the loop has returned`,
		`[1-9]\d* old versions were freed, 0 are left\n$`,
	} {
		found := regexp.MustCompile(want).FindStringIndex(text[at:])
		if found == nil {
			t.Fatalf("no %q after byte %d of\n%s", want, at, text)
		}
		at += found[0]
	}
}
