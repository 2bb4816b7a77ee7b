package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal that remembers its last picture.
type screen struct {
	mu   sync.Mutex
	last string
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = string(p)
	return len(p), nil
}

// shows waits for a picture.
func (s *screen) shows(t *testing.T, pattern string) string {
	t.Helper()
	want := regexp.MustCompile(pattern)
	var last string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		last = s.last
		s.mu.Unlock()
		if want.MatchString(last) {
			return last
		}
	}
	t.Fatalf("no picture shows %s, the last is\n%s", pattern, last)
	return ""
}

// TestGame edits the game while it runs: another ball, a mistake, a fault, and back.
func TestGame(t *testing.T) {
	text, err := os.ReadFile("program/ball.c")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ball.c")
	save := func(old, new string) {
		t.Helper()
		changed := strings.Replace(string(text), old, new, 1)
		if changed == string(text) && old != new {
			t.Fatalf("%q is not in ball.c", old)
		}
		// By another name, as editors do: a file is never seen half written.
		if err := os.WriteFile(path+"~", []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
	}
	save("", "")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var s screen
	go func() { ended <- play(ctx, &s, path, time.Millisecond) }()
	s.shows(t, `(?s)-----.* o .*edit `)
	save("'o'", "'@'")
	s.shows(t, `(?s) @ .*replaced ball@2 in `)
	save("'o'", "nonsense")
	s.shows(t, `(?s) @ .*use of undeclared identifier 'nonsense'`)
	save("return 'o'", "return 'o' / *(volatile int *)&(int){0}")
	s.shows(t, `division by zero in ball@3`)
	save("return 0.08", "return 0.5")
	s.shows(t, `(?s) o .*replaced ball@4, replaced gravity@2 in `)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
