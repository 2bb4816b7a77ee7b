package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestWorkers(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 20); err != nil {
		t.Fatalf("%+v", err)
	}
	if !regexp.MustCompile(`\n[1-9]\d* old versions were freed, 0 are left\n$`).MatchString(out.String()) {
		t.Error(out.String())
	}
}
