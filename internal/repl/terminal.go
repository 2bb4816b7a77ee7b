package repl

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chzyer/readline"
)

// IsTerminal says whether standard input and output are a terminal.
func IsTerminal() bool { return readline.DefaultIsTerminal() }

// Terminal has inputs typed at a terminal: with editing, history over sessions, completion and
// colours. Ctrl-C gives up the line, or stops what runs; Ctrl-D ends.
func (s *Session) Terminal(ctx context.Context) error {
	keys := newGate(os.Stdin)
	prompt := s.config.Lang + "> "
	config := &readline.Config{
		Prompt: prompt, Stdin: keys, HistoryFile: historyFile(), HistoryLimit: 5000, HistorySearchFold: true, DisableAutoSaveHistory: true,
		AutoComplete: completer{s}, InterruptPrompt: "^C", EOFPrompt: "\n",
	}
	if os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		config.Painter = painter{s.lang}
	}
	line, err := readline.NewEx(config)
	if err != nil {
		return err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)

	s.answer("livejit: a prompt for %s; :help lists the commands, Ctrl-D ends", s.lang.title())
	var input string
	for !s.quit {
		line.SetPrompt(prompt)
		if input != "" {
			line.SetPrompt(strings.Repeat(" ", max(len(prompt)-4, 0)) + "... ")
		}
		keys.open()
		text, err := line.Readline()
		keys.close()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			input = ""
			continue
		case errors.Is(err, io.EOF):
			return line.Close()
		case err != nil:
			return errors.Join(err, line.Close())
		}
		input += text + "\n"
		if strings.TrimSpace(input) == "" {
			input = ""
			continue
		}
		if s.Open(input) {
			continue
		}
		err = line.SaveHistory(oneLine(input))
		if failed := s.interruptible(ctx, input, interrupts); failed != nil {
			s.Explain(failed)
		}
		if err != nil {
			s.note("history: %v", err)
		}
		input = ""
	}
	return line.Close()
}

// interruptible does an input; an interrupt ends what runs.
func (s *Session) interruptible(ctx context.Context, input string, interrupts <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-interrupts:
			cancel()
		case <-done:
		}
	})
	err := s.Input(ctx, input)
	close(done)
	watcher.Wait()
	cancel()
	return err
}

// oneLine is an input as history keeps it.
func oneLine(input string) string {
	input = strings.TrimSpace(input)
	if strings.Contains(input, "//") || strings.Contains(input, "#") {
		lines := strings.Split(input, "\n")
		return lines[len(lines)-1] // these lines cannot be joined
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(input, "\n", " ")), " ")
}

// historyFile is where history stays between sessions: $LIVEJIT_HISTORY, or in the folder for
// programs' state (XDG Base Directory Specification); "" if there is none.
func historyFile() string {
	if path, set := os.LookupEnv("LIVEJIT_HISTORY"); set {
		return path
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(state, "livejit")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return filepath.Join(dir, "history")
}

// gate lets keys through to the line editor only while it asks for a line, so that what is
// typed while the program runs is the program's.
type gate struct {
	file   *os.File
	mu     sync.Mutex
	change *sync.Cond
	asked  bool
	ended  bool
}

func newGate(file *os.File) *gate {
	g := &gate{file: file}
	g.change = sync.NewCond(&g.mu)
	return g
}

func (g *gate) set(asked bool) {
	g.mu.Lock()
	g.asked = asked
	g.change.Broadcast()
	g.mu.Unlock()
}

func (g *gate) open()  { g.set(true) }
func (g *gate) close() { g.set(false) }

// settle is how long the editor may take to end a line after its last key.
const settle = 20 * time.Millisecond

// Read returns one key's byte. After one that may end the line it waits to see whether it did.
func (g *gate) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if g.ended {
		time.Sleep(settle)
		g.ended = false
	}
	g.mu.Lock()
	for !g.asked {
		g.change.Wait()
	}
	g.mu.Unlock()
	n, err := g.file.Read(p[:1])
	g.ended = n == 1 && strings.IndexByte("\r\n\x03\x04", p[0]) >= 0
	return n, err
}

// Close does nothing: standard input stays the program's.
func (g *gate) Close() error { return nil }

// completer completes commands, and the names of the program, of C and of earlier inputs.
type completer struct{ session *Session }

// Do returns what may follow the word before the cursor, and how long that word is.
func (c completer) Do(line []rune, pos int) ([][]rune, int) {
	text := string(line[:pos])
	word := text[strings.LastIndexFunc(text, func(r rune) bool { return !c.session.lang.letter(r) })+1:]
	begin := len(text) - len(word)
	var names []string
	if strings.TrimSpace(text[:begin]) == ":" {
		for _, c := range commands {
			names = append(names, c.name+" ")
		}
	} else if word != "" {
		names = c.session.words()
	}
	var rest [][]rune
	for _, n := range names {
		if strings.HasPrefix(n, word) && n != word {
			rest = append(rest, []rune(n[len(word):]))
		}
	}
	return rest, len([]rune(word))
}

// words returns all names that make sense in an input, sorted.
func (s *Session) words() []string {
	names := slices.Clone(s.lang.words())
	for n := range s.program.named {
		names = append(names, n)
	}
	for n := range s.typed {
		names = append(names, n)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
