// Package repl is a prompt for C and C++: what is typed is compiled and becomes part of a
// program that is alive. Everything can be typed again: a function, variable, type or macro of a
// name that is there takes the other's place in one transaction, and what depends on it is
// compiled again.
//
// A session keeps the program as items, each one definition as source text. An input is one
// translation unit: in front of it stand the declarations that it needs of other items, and
// only those, so that its cost does not grow with the program. Clang says what an input
// declares (clang.Options.Declarations); what is no declaration is tried as an expression,
// then as statements. Includes are a precompiled header.
package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
)

// Config is what a session is made from.
type Config struct {
	Lang     string           // "c", "c++" or "ir"
	OptLevel int              // 0 to 3
	Flags    []string         // for clang
	Options  []livejit.Option // of the engine, beside the optimisation level
	Link     []string         // flags that :build gives to the linker
	// Inspect, if set, shows an engine in the browser at an address until stop is called, for :inspect.
	Inspect func(address string, eng *livejit.Engine) (url string, stop func() error, err error)
	Out     io.Writer // values
	Notes   io.Writer // what became of definitions, and errors
	// Talk also says what goes without saying: that a definition was added or replaced.
	Talk bool
}

// Session is one program at a prompt. It is for one goroutine at a time, which is locked to
// its thread, so that thread-local variables of the program keep their values.
type Session struct {
	config  Config
	lang    language
	engine  *livejit.Engine
	dir     string // of precompiled headers
	program *program
	history map[string][]*item // earlier items by key, the latest last; nil: there was none
	changes []change           // definitions that were made, the latest last
	missing map[string]bool    // linker's names that are used and not defined
	typed   map[string]bool    // identifiers that were in an input, for completion
	headers string             // what the precompiled header was made of
	pch     string             // its file; empty: none
	made    int                // changes so far
	counter int
	show    *clang.Layout // of the value that native code shows next
	timing  bool
	spent   spent
	memory  *os.File
	quit    bool

	inspector *inspector      // nil: not served
	ran       *livejit.Module // of the input that was executed last
}

// change is one input that changed definitions: what was there before of each key.
type change struct {
	before map[string]*item // nil: nothing was
}

// spent is where the time of an input went.
type spent struct{ front, engine, swap, run time.Duration }

// New makes a session. Close must be called to give back what it holds.
func New(config Config) (*Session, error) {
	if languages[config.Lang] == nil {
		return nil, fmt.Errorf("no language %q at the prompt: it is c, c++ or ir", config.Lang)
	}
	s := &Session{config: config}
	var err error
	if s.engine, err = livejit.New(s.engineOptions()...); err != nil {
		return nil, err
	}
	s.clear()
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// engineOptions are those of every engine of the session. A variable may keep the address of a
// literal in a version that is gone: constants stay.
func (s *Session) engineOptions() []livejit.Option {
	return append([]livejit.Option{livejit.WithOptLevel(s.config.OptLevel), livejit.WithKeptConstants(), livejit.WithExitError()}, s.config.Options...)
}

func (s *Session) clear() {
	s.lang = languages[s.config.Lang](s)
	s.program = newProgram()
	s.history = map[string][]*item{}
	s.changes = nil
	s.missing = map[string]bool{}
	s.typed = map[string]bool{}
	s.headers, s.pch = "", ""
}

// start prepares the engine for a session.
func (s *Session) start() error {
	var err error
	if s.memory, err = os.Open("/proc/self/mem"); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "livejit-repl-"); err != nil {
		return err
	}
	return s.prime()
}

// prime defines what the session itself needs of the program.
func (s *Session) prime() error {
	err := s.engine.Define("__livejit_show", func(value uintptr) {
		s.flush() // what was printed comes first
		fmt.Fprintln(s.config.Out, s.value(value))
	})
	if err != nil {
		return err
	}
	flush := livejit.IR("livejit", "declare i32 @fflush(ptr)\ndefine void @__livejit_flush() {\n  %1 = call i32 @fflush(ptr null)\n  ret void\n}\n")
	_, err = s.engine.Add(context.Background(), flush)
	return err
}

// flush writes what the program has printed. The code that ended may have been inside of stdio, with its locks held: that is
// waited for no longer than a second.
func (s *Session) flush() {
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.engine.Call(soon, "__livejit_flush"); err != nil {
		s.note("what the program has printed could not be flushed: %v", err)
	}
}

// Close ends the program: its destructors run, and everything is given back.
func (s *Session) Close() error {
	err := errors.Join(s.uninspect(), s.engine.Close())
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if s.memory != nil {
		err = errors.Join(err, s.memory.Close())
	}
	return err
}

// Open says whether text is the beginning of an input that needs more lines.
func (s *Session) Open(text string) bool {
	return !strings.HasPrefix(strings.TrimSpace(text), ":") && s.lang.open(text)
}

// Input does what was typed: a command, definitions, statements or an expression. An error
// is what clang or the engine said about it, or what a command did; definitions are as they
// were before, then.
func (s *Session) Input(ctx context.Context, text string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.spent = spent{}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, ":") {
		return s.command(ctx, text)
	}
	err := s.lang.source(ctx, text, "input")
	if s.timing && text != "" {
		s.note("front end %s, code %s, swap %s, run %s", short(s.spent.front), short(s.spent.engine-s.spent.swap), short(s.spent.swap), short(s.spent.run))
	}
	return err
}

// source does what text says, directive by directive and piece by piece.
func (s cFamily) source(ctx context.Context, text, name string) error {
	for _, p := range parts(text) {
		var err error
		if p.directive {
			err = s.directive(ctx, p.text)
		} else {
			err = s.piece(ctx, p.text, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// piece does one piece of input without directives.
func (s cFamily) piece(ctx context.Context, text, name string) error {
	text = strings.TrimSpace(text)
	for _, word := range identifiers(text) {
		s.typed[word] = true
	}
	tokens, _ := scan(text)
	if len(tokens) == 0 {
		return nil
	}
	last := tokens[len(tokens)-1]
	complete := last.text == ";" || last.text == "}"
	if !complete {
		if done, err := s.expression(ctx, text, name); done {
			return err
		}
	}
	declared := s.define(ctx, text, name, complete)
	if last.text == "}" && declared != nil && isSyntax(declared) && s.define(ctx, text, name, false) == nil {
		return nil // only the semicolon was missing
	}
	if declared == nil || !isSyntax(declared) {
		return declared
	}
	if list := segments(text); len(list) > 1 && complete {
		return s.mixed(ctx, list, name, declared)
	}
	ran := s.statement(ctx, text, name)
	return further(ran, declared)
}

// mixed does declarations and statements that were typed together, one after the other. If
// one does not compile, the definitions before it are taken back.
func (s cFamily) mixed(ctx context.Context, list []string, name string, whole error) error {
	made := s.made
	err := s.sequence(ctx, list, name, whole)
	if isSyntax(err) {
		for ; s.made > made; s.made-- {
			if failed := s.undo(ctx, ""); failed != nil {
				return errors.Join(err, failed)
			}
		}
	}
	return err
}

func (s cFamily) sequence(ctx context.Context, list []string, name string, whole error) error {
	var run []string
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		text := strings.Join(run, "\n")
		run = nil
		return further(s.statement(ctx, text, name), whole)
	}
	for _, text := range list {
		if !s.declares(text) {
			run = append(run, text)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if err := s.define(ctx, text, name, true); err != nil {
			return err
		}
	}
	return flush()
}

// declares says whether one segment is a declaration: clang finds no error of syntax in it.
func (s cFamily) declares(text string) bool {
	u, err := s.translate(context.Background(), text, "input", nil)
	return err == nil || constantInitialiser(err) && len(u.declarations) > 0
}

// further returns the error that clang found later in the text: the other one came from
// taking it for what it is not.
func further(a, b error) error {
	var x, y *livejit.CompileError
	if a == nil || !errors.As(a, &x) || !errors.As(b, &y) {
		return a
	}
	p, q := x.Diagnostics[0], y.Diagnostics[0]
	if strings.HasPrefix(p.Message, "function definition is not allowed here") {
		return b
	}
	if q.Line > p.Line || q.Line == p.Line && q.Column > p.Column {
		return b
	}
	return a
}

// isSyntax says whether clang refused the text, so that it may be something else.
func isSyntax(err error) bool {
	var compile *livejit.CompileError
	return errors.As(err, &compile) && compile.Stage == "clang"
}

// answer prints what was asked for.
func (s *Session) answer(format string, args ...any) {
	fmt.Fprintf(s.config.Out, format+"\n", args...)
}

func (s *Session) note(format string, args ...any) { fmt.Fprintf(s.config.Notes, format+"\n", args...) }

// talk is for what goes without saying.
func (s *Session) talk(format string, args ...any) {
	if s.config.Talk {
		s.note(format, args...)
	}
}

// file is the path of a file in the session's folder.
func (s *Session) file(name string) string { return filepath.Join(s.dir, name) }

// short rounds a time to what one reads at a glance.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
