package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"livejit"
)

// command is one that begins with a colon.
type command struct {
	name, argument, help string
	do                   func(s *Session, ctx context.Context, argument string) error
}

// commands in the order of the help.
var commands []command

func init() {
	commands = []command{
		{"help", "", "this list", (*Session).help},
		{"list", "[NAME]", "the definitions, or the source of one", (*Session).list},
		{"undo", "[NAME]", "take the last definition back, or the last one of NAME", (*Session).undo},
		{"delete", "NAME", "remove a definition; :delete -f NAME although others use it", (*Session).delete},
		{"type", "EXPRESSION", "its type and size, without running it", (*Session).showType},
		{"ir", "NAME", "the LLVM IR of a function", (*Session).ir},
		{"asm", "NAME", "the machine code of a function", (*Session).asm},
		{"callers", "NAME", "what refers to a function or variable", (*Session).callers},
		{"callees", "NAME", "what a function refers to", (*Session).callees},
		{"versions", "NAME", "the versions of a function that are in memory", (*Session).versions},
		{"why", "NAME", "why old versions of a function are still in memory", (*Session).why},
		{"inspect", "[ADDRESS|off]", "show the program in a browser (" + usualAddress + ", or a free port)", (*Session).inspect},
		{"time", "[on|off|INPUT]", "say where the time goes, always or for one input", (*Session).time},
		{"load", "FILE", "the prompt's language as if it were typed; IR, bitcode, objects, archives", (*Session).Load},
		{"save", "FILE", "write the definitions as source that compiles", (*Session).save},
		{"build", "FILE", "link the definitions as an executable, with clang", (*Session).build},
		{"edit", "[NAME]", "change a definition in $EDITOR", (*Session).edit},
		{"reset", "", "begin anew with nothing defined", (*Session).reset},
		{"quit", "", "end", func(s *Session, _ context.Context, _ string) error { s.quit = true; return nil }},
	}
}

// command does a line that begins with a colon. A beginning of a name that fits one only is enough.
func (s *Session) command(ctx context.Context, line string) error {
	word, argument, _ := strings.Cut(strings.TrimPrefix(line, ":"), " ")
	var fits []command
	for _, c := range commands {
		if c.name == word {
			fits = []command{c}
			break
		}
		if strings.HasPrefix(c.name, word) {
			fits = append(fits, c)
		}
	}
	argument = strings.TrimSpace(argument)
	switch {
	case len(fits) != 1 || word == "":
		return fmt.Errorf("no command :%s; see :help", word)
	case argument == "" && fits[0].argument != "" && fits[0].argument[0] != '[' || argument != "" && fits[0].argument == "":
		return fmt.Errorf("usage: :%s %s", fits[0].name, fits[0].argument)
	}
	return fits[0].do(s, ctx, argument)
}

func (s *Session) help(context.Context, string) error {
	s.answer("%s Ctrl-C gives up an input or stops what runs. Commands:\n", s.lang.help())
	for _, c := range commands {
		s.answer("    :%-22s %s", strings.TrimSpace(c.name+" "+c.argument), c.help)
	}
	return nil
}

// find returns the items that people mean by a name.
func (s *Session) find(name string) ([]*item, error) {
	var list []*item
	for _, i := range s.program.sorted() {
		if i.name == name || i.key == name || slices.Contains(i.names, name) && i.kind != include {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is not defined here", name)
	}
	return list, nil
}

func (s *Session) list(_ context.Context, name string) error {
	items := s.program.sorted()
	if name != "" {
		var err error
		if items, err = s.find(name); err != nil {
			return err
		}
	}
	for _, i := range items {
		s.answer("%s", strings.TrimRight(i.text, "\n"))
		if i.init != "" {
			s.answer("%s its value was %s when it was defined", s.lang.comment(), i.init)
		}
		if i.broken != "" {
			s.answer("%s does not compile any more: %s", s.lang.comment(), firstLine(i.broken))
		}
	}
	return nil
}

// undo takes back the last change, or the last one of a name.
func (s *Session) undo(ctx context.Context, name string) error {
	back := map[string]*item{}
	if name == "" {
		if len(s.changes) == 0 {
			return errors.New("there is nothing to undo")
		}
		back = s.changes[len(s.changes)-1].before
	} else {
		for key, past := range s.history {
			now := s.program.items[key]
			old := past[len(past)-1]
			if key == name || now != nil && now.name == name || old != nil && old.name == name {
				back[key] = old
			}
		}
		if len(back) == 0 {
			return fmt.Errorf("there is nothing to undo of %s", name)
		}
	}
	var put, gone []*item
	for key, old := range back {
		switch now := s.program.items[key]; {
		case old != nil:
			again := *old
			again.broken = ""
			put = append(put, &again)
		case now != nil:
			gone = append(gone, now)
		}
	}
	if err := s.restore(ctx, put, gone); err != nil {
		return err
	}
	for key := range back {
		if s.history[key] = s.history[key][:len(s.history[key])-1]; len(s.history[key]) == 0 {
			delete(s.history, key)
		}
		for n := len(s.changes) - 1; n >= 0; n-- {
			if _, ok := s.changes[n].before[key]; ok {
				delete(s.changes[n].before, key)
				break
			}
		}
	}
	s.changes = slices.DeleteFunc(s.changes, func(c change) bool { return len(c.before) == 0 })
	for _, i := range put {
		s.note("%s is what it was before", i.name)
	}
	for _, i := range gone {
		s.note("%s is gone", i.name)
	}
	return nil
}

func (s *Session) delete(ctx context.Context, argument string) error {
	name, force := strings.CutPrefix(argument, "-f ")
	gone, err := s.find(strings.TrimSpace(name))
	if err != nil {
		return err
	}
	if users := s.program.dependents(gone); len(users) > 0 && !force {
		var names []string
		for _, i := range users {
			names = append(names, i.name)
		}
		return fmt.Errorf("%s is used by %s; :delete -f %s deletes it all the same", name, strings.Join(names, ", "), name)
	}
	if err := s.change(ctx, nil, gone, nil); err != nil {
		return err
	}
	return s.lang.refresh(ctx)
}

func (s *Session) showType(ctx context.Context, text string) error { return s.lang.showType(ctx, text) }

func (s cFamily) showType(ctx context.Context, text string) error {
	layout, _ := s.typeOf(ctx, strings.TrimSuffix(text, ";"), "input")
	if layout == nil {
		_, err := s.translate(ctx, "__typeof__ (\n#line 1 \"input\"\n"+text+"\n) *__livejit_type;", "input", nil)
		return err
	}
	s.sayType(layout)
	return nil
}

// functions returns the engine's functions of a name: overloads are several.
func (s *Session) functions(name string) ([]*livejit.Function, error) {
	var list []*livejit.Function
	for _, i := range s.program.named[name] {
		if f := s.engine.Function(i.symbol); i.kind == function && f != nil {
			list = append(list, f)
		}
	}
	if f := s.engine.Function(name); f != nil && len(list) == 0 {
		list = append(list, f)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("there is no function %s", name)
	}
	return list, nil
}

// each prints what about makes of each function of a name.
func (s *Session) each(name string, about func(f *livejit.Function) (string, error)) error {
	list, err := s.functions(name)
	if err != nil {
		return err
	}
	for _, f := range list {
		text, err := about(f)
		if err != nil {
			return err
		}
		s.answer("%s", strings.TrimRight(text, "\n"))
	}
	return nil
}

func (s *Session) ir(_ context.Context, name string) error {
	return s.each(name, (*livejit.Function).IR)
}

func (s *Session) asm(_ context.Context, name string) error {
	return s.each(name, (*livejit.Function).Disassemble)
}

// dependences lists references, one a line.
func dependences(list []livejit.Dependence) string {
	if len(list) == 0 {
		return "none"
	}
	var b strings.Builder
	for _, d := range list {
		b.WriteString(livejit.Demangle(d.Name))
		if d.Version > 0 {
			fmt.Fprintf(&b, "@%d", d.Version)
		}
		var how []string
		for _, h := range []struct {
			is   bool
			word string
		}{{d.Variable, "variable"}, {d.Call, "call"}, {d.Address, "address"}, {d.Host, "host"}} {
			if h.is {
				how = append(how, h.word)
			}
		}
		fmt.Fprintf(&b, " (%s)\n", strings.Join(how, ", "))
	}
	return b.String()
}

func (s *Session) callers(_ context.Context, name string) error {
	items := s.program.named[name]
	if len(items) == 1 && items[0].kind == variable {
		s.answer("%s", strings.TrimRight(dependences(s.engine.Referrers(items[0].symbol)), "\n"))
		return nil
	}
	return s.each(name, func(f *livejit.Function) (string, error) { return dependences(f.Callers()), nil })
}

func (s *Session) callees(_ context.Context, name string) error {
	return s.each(name, func(f *livejit.Function) (string, error) { return dependences(f.Callees()), nil })
}

func (s *Session) versions(_ context.Context, name string) error {
	return s.each(name, func(f *livejit.Function) (string, error) {
		var b strings.Builder
		for _, v := range f.Versions() {
			current := ""
			if v.Current {
				current = ", current"
			}
			fmt.Fprintf(&b, "%s@%d: %d bytes at %#x%s\n", livejit.Demangle(f.Name()), v.Number, v.Size, v.Addr, current)
		}
		return b.String(), nil
	})
}

func (s *Session) why(_ context.Context, name string) error {
	return s.each(name, func(f *livejit.Function) (string, error) {
		roots := f.WhyAlive()
		if len(roots) == 0 {
			return "no old version of " + livejit.Demangle(f.Name()) + " is kept", nil
		}
		var b strings.Builder
		for _, r := range roots {
			fmt.Fprintln(&b, r)
		}
		return b.String(), nil
	})
}

func (s *Session) time(ctx context.Context, argument string) error {
	switch argument {
	case "", "on":
		s.timing = true
	case "off":
		s.timing = false
	default:
		before := s.timing
		s.timing = true
		defer func() { s.timing = before }()
		return s.Input(ctx, argument)
	}
	return nil
}

func (s *Session) edit(ctx context.Context, name string) error {
	var text strings.Builder
	if name != "" {
		items, err := s.find(name)
		if err != nil {
			return err
		}
		for _, i := range items {
			text.WriteString(strings.TrimRight(i.text, "\n") + "\n")
		}
	}
	path := filepath.Join(s.dir, "edit"+s.lang.extension())
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return err
	}
	editor := os.Getenv("EDITOR")
	if editor == "" {
		editor = "vi"
	}
	// A value like "code --wait" is a command of the shell.
	c := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, editor, path)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", editor, err)
	}
	edited, err := os.ReadFile(path)
	if err != nil || string(edited) == text.String() {
		return err
	}
	return s.lang.source(ctx, string(edited), "edit")
}

func (s *Session) reset(ctx context.Context, _ string) error {
	options := s.engineOptions()
	address := ""
	if s.inspector != nil {
		address = strings.TrimSuffix(strings.TrimPrefix(s.inspector.url, "http://"), "/")
	}
	if err := s.uninspect(); err != nil {
		return err
	}
	if err := s.engine.Close(); err != nil {
		return err
	}
	engine, err := livejit.New(options...)
	if err != nil {
		s.quit = true // there is nothing to go on with
		return err
	}
	s.engine = engine
	s.clear()
	if err := s.prime(); err != nil || address == "" {
		return err
	}
	return s.inspect(ctx, address)
}

func (s *Session) save(_ context.Context, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, s.lang.text(s.program))
	return errors.Join(err, f.Close())
}
