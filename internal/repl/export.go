package repl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"livejit/clang"
)

// text is the program as one source that compiles: includes, then types and prototypes in an
// order that they can be read in, then definitions as they were typed.
func (s cFamily) text(p *program) string {
	headers, last := p.headers()
	var b strings.Builder
	b.WriteString(headers)
	w := &preamble{program: p, last: last, state: map[*item]int{}, bare: true, leave: func(*item) bool { return false }}
	items := p.sorted()
	for _, i := range items {
		w.item(i)
	}
	b.WriteString(w.forward.String() + w.text.String())
	for _, i := range items {
		if i.kind != function && i.kind != variable || !i.defined {
			continue
		}
		if i.broken != "" {
			b.WriteString("\n// This does not compile any more.\n#if 0\n" + i.text + "\n#endif\n")
			continue
		}
		text := i.text
		if s.config.Lang == "c++" && i.kind == function && i.seen != "" {
			text = withoutDefaults(text) // its prototype has them
		}
		b.WriteString("\n" + text + "\n")
		if i.init != "" {
			a := assignment{i.name, i.init, i.layout != nil && i.layout.Kind == "array"}
			fmt.Fprintf(&b, "__attribute__((constructor)) static void initialise_%s(void) { %s }\n", i.name, a.statement())
		}
	}
	return b.String()
}

// withoutDefaults drops the default arguments of a function of C++: they may be said once.
func withoutDefaults(text string) string {
	tokens, _ := scan(text)
	var b strings.Builder
	at, skip, inside := 0, false, false
	for _, t := range tokens {
		if t.text == "(" && t.depth == 0 {
			inside = true
		}
		switch {
		case inside && !skip && t.depth == 1 && t.text == "=":
			b.WriteString(strings.TrimRight(text[at:t.begin], " "))
			skip = true
		case skip && (t.depth == 1 && t.text == "," || t.depth == 0):
			at, skip = t.begin, false
		}
		if t.depth == 0 && (t.text == ")" || t.text == "{") {
			break // the body begins
		}
	}
	return b.String() + text[at:]
}

// build links the definitions as an executable.
func (s *Session) build(ctx context.Context, path string) error {
	if i := s.program.items["main"]; i == nil || !i.defined {
		return errors.New("an executable begins with main, which is not defined")
	}
	source := filepath.Join(s.dir, "build"+s.lang.extension())
	if err := os.WriteFile(source, []byte(s.lang.text(s.program)), 0o600); err != nil {
		return err
	}
	flags := append(s.lang.buildFlags(), fmt.Sprintf("-O%d", s.config.OptLevel))
	flags = append(flags, s.config.Flags...)
	return clang.Executable(ctx, path, append(append(flags, source), s.config.Link...)...)
}
