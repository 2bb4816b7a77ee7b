package main

import (
	"io"
	"testing"
	"time"
)

// TestService replaces the handler 30 times under load.
func TestService(t *testing.T) {
	n, err := run(io.Discard, 4, 30, 2*time.Millisecond)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if n.failed > 0 || n.requests < 100 || n.replaced != 30 || n.seen < 5 {
		t.Errorf("%+v", n)
	}
}
