package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// typist types at a terminal that runs a command, and reads the screen.
type typist struct {
	t      *testing.T
	keys   *os.File
	mu     sync.Mutex
	screen strings.Builder
	ended  chan error
	read   int // how much of the screen was waited for already
}

// typeAt starts a command at a terminal of its own.
func typeAt(t *testing.T, history string, args ...string) *typist {
	t.Helper()
	c := exec.Command("livejit", args...)
	c.Env = append(os.Environ(), "LIVEJIT_HISTORY="+history, "TERM=xterm", "NO_COLOR=")
	f, err := pty.StartWithSize(c, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	y := &typist{t: t, keys: f, ended: make(chan error, 1)}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := f.Read(b)
			y.mu.Lock()
			y.screen.Write(b[:n])
			y.mu.Unlock()
			if err != nil { // EIO when the last process is gone
				y.ended <- c.Wait()
				return
			}
		}
	}()
	t.Cleanup(func() { c.Process.Kill(); f.Close() })
	return y
}

// sees waits until text comes after what was seen before.
func (y *typist) sees(text string) {
	y.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		y.mu.Lock()
		screen := y.screen.String()
		y.mu.Unlock()
		if n := strings.Index(screen[y.read:], text); n >= 0 {
			y.read += n + len(text)
			return
		}
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.t.Fatalf("%q does not come. The screen since:\n%q", text, y.screen.String()[y.read:])
}

func (y *typist) types(keys string) {
	y.t.Helper()
	if _, err := y.keys.WriteString(keys); err != nil {
		y.t.Fatal(err)
	}
}

// ends waits until the command has ended well.
func (y *typist) ends() {
	y.t.Helper()
	select {
	case err := <-y.ended:
		if err != nil {
			y.t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		y.t.Fatal("it does not end")
	}
}

func TestPromptAtTerminal(t *testing.T) {
	history := filepath.Join(t.TempDir(), "history")
	y := typeAt(t, history, "repl")
	y.sees("Ctrl-D ends")
	y.sees("c> ")
	y.types("int calls = 0;\r")
	y.sees("added calls")

	// Several lines, colours, and what became of a definition.
	y.types("int twice(int x) {\r")
	y.sees("\x1b[1;34mint\x1b[0m twice")
	y.sees("... ")
	y.types("calls++;\rreturn 2 * x; }\r")
	y.sees("added twice@1")
	y.types("twice(21)\r")
	y.sees("(int) 42")
	y.types("int twice(int x) { calls++; return 3 * x; }\r")
	y.sees("replaced twice@2")

	// Completion of names and of commands.
	y.types("twi\t(2) + 100\r")
	y.sees("(int) 106")
	y.types(":vers\ttwice\r")
	y.sees("twice@2: ")

	// A parenthesis that is open goes on, too.
	y.types("twice(1 +\r")
	y.sees("... ")
	y.types("1)\r")
	y.sees("(int) 6")

	// Ctrl-C gives up an input that is not complete.
	y.types("twice(1,\r")
	y.sees("... ")
	y.types("\x03")
	y.sees("c> ")
	y.types("int never(void) {\r")
	y.sees("... ")
	y.types("\x03")
	y.sees("c> ")

	// Ctrl-C stops what runs, in code of the program and in a library; the state stays.
	y.types("#include <unistd.h>\r")
	y.types("#include <stdio.h>\r")
	y.types("void spin(void) { for (;;) if (++calls == 1000) { puts(\"spins\"); fflush(stdout); } }\r")
	y.sees("added spin@1")
	y.types("spin()\r")
	y.sees("spins\r\n")
	y.types("\x03")
	y.sees("error: interrupted")
	y.types("calls >= 1000\r")
	y.sees("(int) 1")
	y.types("for (puts(\"sleeps\"), fflush(stdout);;) pause();\r")
	y.sees("sleeps\r\n")
	y.types("\x03")
	y.sees("error: interrupted")

	// A running program reads the keys, and afterwards the prompt does.
	y.types("int n; scanf(\"%d\", &n); printf(\"read %d\\n\", n + 1);\r")
	y.sees("\r\n")
	time.Sleep(200 * time.Millisecond)
	y.types("41\n")
	y.sees("read 42")
	y.types("twice(2)\r")
	y.sees("(int) 6")
	y.sees("c> ") // the terminal is the prompt's: Ctrl-D is a key then
	y.types("\x04")
	y.ends()

	// History goes over sessions: the line before the last.
	y = typeAt(t, history, "repl")
	y.sees("c> ")
	y.types("int twice(int x) { return 5 * x; }\r")
	y.sees("added twice@1")
	y.types("\x1b[A\x1b[A\r") // up, up
	y.sees("(int) 10")
	y.types(":quit\r")
	y.ends()
}

func TestAssemblyAtTerminal(t *testing.T) {
	y := typeAt(t, filepath.Join(t.TempDir(), "history"), "repl", "--lang", "ir")
	y.sees("a prompt for LLVM IR")
	y.sees("ir> ")
	y.types("define i64 @twice(i64 %x) {\r")
	y.sees("\x1b[1;34mdefine\x1b[0m \x1b[1;34mi64\x1b[0m @twice")
	y.sees("... ")
	y.types("%r = mul i64 %x, 2\rret i64 %r }\r")
	y.sees("added twice@1")
	y.types("call i64 @twi\t(i64 21)\r")
	y.sees("(i64) 42")
	y.types("call i64 @twice(i64 1,\r")
	y.sees("... ")
	y.types("\x03")
	y.sees("ir> ")
	y.types("call i64 @twice(i32 %x)\r")
	y.sees("input:1:21: error: use of undefined value '%x'")
	y.types("define i64 @twice(i64 %x) { ret i64 7 }\r")
	y.sees("replaced twice@2")
	y.types("{ br label %spin\rspin: br label %spin\r}\r")
	y.sees("... ")
	y.sees("... ")
	y.sees("\r\n")
	time.Sleep(200 * time.Millisecond) // it spins
	y.types("\x03")
	y.sees("error: interrupted")
	y.types(":undo\r")
	y.sees("twice is what it was before")
	y.types("call i64 @twice(i64 4)\r")
	y.sees("(i64) 8")
	y.sees("ir> ")
	y.types("\x04")
	y.ends()
}

// TestInspectAtPrompt: the program is shown in the browser as long as one wants.
func TestInspectAtPrompt(t *testing.T) {
	y := typeAt(t, filepath.Join(t.TempDir(), "history"), "repl")
	y.sees("c> ")
	y.types("int twice(int x) { return 2 * x; }\r")
	y.sees("added twice@1")
	y.types(":inspect 127.0.0.1:0\r")
	y.sees("http://127.0.0.1:")
	y.sees("c> ")
	y.mu.Lock()
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(y.screen.String())
	y.mu.Unlock()
	functions := func() string {
		t.Helper()
		r, err := http.Get(url + "api/functions")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := functions(); !strings.Contains(got, `"twice"`) {
		t.Errorf("it shows %s", got)
	}
	y.types(":inspect\r")
	y.sees(url)
	y.types(":reset\r")
	y.sees(url) // of the new program, at the same address
	if got := functions(); strings.Contains(got, `"twice"`) {
		t.Errorf("after :reset it shows %s", got)
	}
	y.types(":inspect off\r")
	y.sees("has ended")
	if r, err := http.Get(url); err == nil {
		r.Body.Close()
		t.Error("it is still served")
	}
	y.types(":inspect nonsense\r")
	y.sees("error: listen tcp: address nonsense: missing port in address")
	y.types(":quit\r")
	y.ends()
}
