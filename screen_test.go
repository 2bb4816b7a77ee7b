package livejit_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// control is what a terminal does not show: a sequence of ECMA-48 (CSI), or one control character.
var control = regexp.MustCompile("\x1b\\[([0-9;?]*)([A-Za-z])|[\r\n\b\a]")

// screen returns what a terminal shows after it got text: as much as a line editor needs. Lines are not wrapped.
func screen(text string) string {
	lines := [][]rune{nil}
	row, column := 0, 0
	write := func(s string) {
		for _, r := range s {
			for len(lines[row]) <= column {
				lines[row] = append(lines[row], ' ')
			}
			lines[row][column] = r
			column++
		}
	}
	at := 0
	for _, m := range control.FindAllStringSubmatchIndex(text, -1) {
		write(text[at:m[0]])
		at = m[1]
		if m[4] < 0 {
			switch text[m[0]] {
			case '\r':
				column = 0
			case '\b':
				column = max(column-1, 0)
			case '\n':
				if row++; row == len(lines) {
					lines = append(lines, nil)
				}
			}
			continue
		}
		n, err := strconv.Atoi(text[m[2]:m[3]])
		if err != nil {
			n = 0
		}
		switch text[m[4]] {
		case 'A':
			row = max(row-max(n, 1), 0)
		case 'C':
			column += max(n, 1)
		case 'D':
			column = max(column-max(n, 1), 0)
		case 'K', 'J':
			if n == 2 {
				lines[row] = nil
			} else {
				lines[row] = lines[row][:min(column, len(lines[row]))]
			}
			if text[m[4]] == 'J' {
				lines = lines[:row+1]
			}
		}
	}
	write(text[at:])
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return b.String()
}

var promptLine = regexp.MustCompile(`(?m)^(?:[a-z+]+>|\.\.\.|  \.\.\.) (.+)$`)

// typedAt runs a prompt at a terminal, types what stands behind the prompts of session, and returns the screen.
func typedAt(t *testing.T, dir, command, session string) string {
	t.Helper()
	c := exec.Command("sh", "-c", "exec "+command)
	c.Dir = dir
	c.Env = append(commandEnv(t), "LIVEJIT_HISTORY="+filepath.Join(t.TempDir(), "history"), "TERM=xterm", "NO_COLOR=1")
	f, err := pty.StartWithSize(c, &pty.Winsize{Rows: 200, Cols: 500})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var mu sync.Mutex
	var got strings.Builder
	ended := make(chan error, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := f.Read(b)
			mu.Lock()
			got.Write(b[:n])
			mu.Unlock()
			if err != nil { // EIO when the last process is gone
				ended <- c.Wait()
				return
			}
		}
	}()
	shown := func() string {
		mu.Lock()
		defer mu.Unlock()
		return screen(got.String())
	}
	// The prompt stands in the last line again when an input is done.
	ready := func(lines int) bool {
		text := strings.TrimRight(shown(), "\n")
		last := text[strings.LastIndexByte(text, '\n')+1:]
		return strings.Count(text, "\n") >= lines && (last == "..." || last == "  ..." || strings.HasSuffix(last, ">") && !strings.Contains(last, " "))
	}
	lines := 1
	for _, m := range promptLine.FindAllStringSubmatch(session, -1) {
		for end := time.Now().Add(30 * time.Second); !ready(lines); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: no prompt for %q. The screen:\n%s", command, m[1], shown())
			}
		}
		lines = strings.Count(strings.TrimRight(shown(), "\n"), "\n") + 1
		if _, err := f.WriteString(m[1] + "\r"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%s ended with %v", command, err)
		}
	case <-time.After(30 * time.Second):
		c.Process.Kill()
		t.Fatalf("%s does not end; a session ends with :quit. The screen:\n%s", command, shown())
	}
	return shown()
}
