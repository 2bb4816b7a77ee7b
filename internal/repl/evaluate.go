package repl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
)

// expression prints the value of text with its type. It returns false if text is none; the
// error is that of running it.
func (s cFamily) expression(ctx context.Context, text, name string) (bool, error) {
	layout, value := s.typeOf(ctx, text, name)
	if layout == nil {
		return false, nil
	}
	body := value + ";"
	if layout.Kind == "void" {
		return true, s.statement(ctx, body, name)
	}
	show := "__livejit_show"
	take := "__auto_type __livejit_value = "
	address := "&__livejit_value"
	switch {
	case s.config.Lang == "c++":
		take = "auto &&__livejit_value = "
	case layout.Kind == "array", layout.Kind == "function":
		take = "const volatile void *__livejit_value = "
		address = "__livejit_value"
	}
	declare := "extern void __livejit_show(const volatile void *);\n"
	if s.config.Lang == "c++" {
		declare = "extern \"C\" void __livejit_show(const volatile void *);\n"
		address = "(const volatile void *)__builtin_addressof(__livejit_value)"
	}
	s.show = layout
	return true, s.run(ctx, declare, take+body+" "+show+"("+address+");", name)
}

// typeOf returns what clang says of the type of an expression, and the expression as it can be
// used; nil if text is none. A bit-field has no type that could be asked for: it has to become a
// value first.
func (s cFamily) typeOf(ctx context.Context, text, name string) (*clang.Layout, string) {
	text = "(\n#line 1 \"" + name + "\"\n" + text + "\n)"
	for _, value := range []string{text, "((void)0, " + text + ")"} {
		u, err := s.translate(ctx, "__typeof__ "+value+" *__livejit_type;", name, nil)
		if err != nil {
			continue
		}
		for _, d := range u.declarations {
			if d.Name == "__livejit_type" && d.Layout != nil && d.Layout.Element != nil {
				return d.Layout.Element, value
			}
		}
	}
	return nil, ""
}

// statement runs text as the body of a function.
func (s cFamily) statement(ctx context.Context, text, name string) error {
	return s.run(ctx, "", text, name)
}

// run compiles a function of its own with text as its body, calls it, and takes it away.
func (s cFamily) run(ctx context.Context, declare, text, name string) error {
	s.counter++
	symbol := fmt.Sprintf("__livejit_run%d", s.counter)
	head := "void " + symbol + "(void) {"
	if s.config.Lang == "c++" {
		head = "extern \"C\" " + head
	}
	end := " ;\n}" // on the line that an error is about
	if strings.Contains(text[strings.LastIndexByte(text, '\n')+1:], "//") {
		end = "\n;}"
	}
	u, err := s.translate(ctx, declare+head+"\n#line 1 \""+name+"\"\n"+text+end, name, nil)
	if err != nil {
		var compile *livejit.CompileError
		if errors.As(err, &compile) {
			for n, d := range compile.Diagnostics {
				compile.Diagnostics[n].SourceLine = strings.TrimSuffix(d.SourceLine, " ;") // nobody typed it
			}
		}
		return err
	}
	s.warn(u)
	return s.execute(ctx, u, symbol)
}

// execute links a unit with the function symbol, calls that, and takes it away.
func (s *Session) execute(ctx context.Context, u *unit, symbol string) error {
	var module *livejit.Module
	begin := time.Now()
	s.ran = nil
	err := s.linking(ctx, func() error {
		// Not Add: namespaces in front of it are defined already.
		result, err := s.engine.Replace(ctx, u.source)
		if err == nil && len(result.Modules) > 0 {
			module = result.Modules[0]
			s.ran = module
		}
		return err
	})
	s.spent.engine += time.Since(begin)
	if err != nil {
		return err
	}
	begin = time.Now()
	_, failed := s.engine.Call(ctx, symbol)
	s.spent.run += time.Since(begin)
	s.flush()
	if failed != nil {
		failed = s.explain(failed, symbol)
	}
	return errors.Join(failed, s.discard(context.Background(), module, symbol))
}

// discard takes a function away that has run. What it has of data stays: a variable may hold its
// address now.
func (s *Session) discard(ctx context.Context, module *livejit.Module, symbol string) error {
	if module != nil {
		if stats := module.Stats(); stats.ConstBytes == 0 && stats.DataBytes == 0 && stats.Functions == 1 {
			return module.Close()
		}
	}
	_, err := s.engine.Update(ctx, func(u *livejit.Update) error { u.ForceDelete(symbol); return nil })
	return err
}

// explain says in the words of the prompt why a call ended.
func (s *Session) explain(err error, symbol string) error {
	var deleted *livejit.DeletedError
	var exit *livejit.ExitError
	var fault *livejit.FaultError
	var interrupt *livejit.InterruptError
	text := strings.TrimPrefix(err.Error(), symbol+": ")
	if before, _, ok := strings.Cut(text, " in "+symbol+"@"); ok {
		text = before
	}
	switch {
	case errors.As(err, &deleted):
		name := livejit.Demangle(deleted.Name)
		if i := s.program.items[deleted.Name]; i != nil && i.broken != "" {
			return fmt.Errorf("%s was called, which does not compile any more", name)
		}
		return fmt.Errorf("%s was called, which is not defined", name)
	case errors.As(err, &exit):
		return fmt.Errorf("exit(%d) was called: the program stays; :quit ends", exit.Status)
	case errors.As(err, &fault):
		return s.traced(text, fault.Backtrace, fault.Foreign, symbol)
	case errors.As(err, &interrupt):
		return s.traced("interrupted", interrupt.Backtrace, interrupt.Foreign, symbol)
	}
	return errors.New(text)
}

// traced is an error with the functions that were active, innermost first.
func (s *Session) traced(text string, trace []livejit.Location, foreign bool, symbol string) error {
	var b strings.Builder
	b.WriteString(text)
	for n, l := range trace {
		if l.Function == symbol {
			break
		}
		if n == maxFrames {
			fmt.Fprintf(&b, "\n    ... and %d more", len(trace)-n)
			break
		}
		fmt.Fprintf(&b, "\n    in %s", l)
		if l.IR != "" {
			b.WriteString(": " + l.IR)
		}
	}
	if foreign {
		b.WriteString("\nthis is unsafe: a library was left in the middle of its work, and what it holds (locks, the heap, buffers) may be inconsistent now")
	}
	return errors.New(b.String())
}

// maxFrames is how many frames of a backtrace are printed.
const maxFrames = 8

// directive does one line of the preprocessor, or one #if to #endif.
func (s cFamily) directive(ctx context.Context, text string) error {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	line := strings.TrimSpace(text)
	rest := strings.TrimSpace(line[strings.Index(line, directive(line))+len(directive(line)):])
	i := &item{key: line, kind: header, name: line, text: text, line: true}
	switch word := directive(line); word {
	case "include", "import", "include_next":
		i.kind, i.defined = include, true
	case "define", "undef":
		name := rest[:wordEnd(rest, 0)]
		if name == "" {
			return fmt.Errorf("#%s needs a name", word)
		}
		i.key, i.name, i.names = "#define "+name, name, []string{name}
	case "pragma", "warning", "error", "line":
		i.kind = include
	}
	i = finished(i)
	i.seen, i.defined = text, true
	if word := directive(line); word == "define" {
		i.seen = "#undef " + i.name + "\n" + text
		i.uses = identifiers(rest[wordEnd(rest, 0):])
	}
	if i.kind != include {
		// Clang says whether the line is right before anything changes.
		if _, err := s.compile(ctx, text, "input", func(o *item) bool { return o.key == i.key }); err != nil {
			return err
		}
		if _, last := s.program.headers(); last == 0 || s.program.items[i.key] == nil || s.program.items[i.key].order > last {
			return s.change(ctx, []*item{i}, nil, nil)
		}
	}
	s.headers = "" // a header may have changed on disk
	undo := s.program.apply([]*item{i}, nil)
	err := s.refresh(ctx)
	undo()
	if err != nil {
		return errors.Join(err, s.refresh(ctx))
	}
	return s.change(ctx, []*item{i}, nil, nil)
}
