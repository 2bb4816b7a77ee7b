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
func (p *program) text(lang string) string {
	headers, last := p.headers()
	var b strings.Builder
	b.WriteString(headers)
	w := &preamble{program: p, last: last, state: map[*item]int{}, bare: true}
	w.leave = func(i *item) bool {
		// A default argument may be said once: with the definition.
		return lang == "c++" && i.kind == function && i.defined && strings.Contains(i.seen, "=")
	}
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
		b.WriteString("\n" + i.text + "\n")
		if i.init != "" {
			a := assignment{i.name, i.init, i.layout != nil && i.layout.Kind == "array"}
			fmt.Fprintf(&b, "__attribute__((constructor)) static void initialise_%s(void) { %s }\n", i.name, a.statement())
		}
	}
	return b.String()
}

// build links the definitions as an executable.
func (s *Session) build(ctx context.Context, path string) error {
	if i := s.program.items["main"]; i == nil || !i.defined {
		return errors.New("an executable begins with main, which is not defined")
	}
	source := filepath.Join(s.dir, "build.c")
	if s.config.Lang == "c++" {
		source = filepath.Join(s.dir, "build.cc")
	}
	if err := os.WriteFile(source, []byte(s.program.text(s.config.Lang)), 0o600); err != nil {
		return err
	}
	flags := []string{fmt.Sprintf("-O%d", s.config.OptLevel), "-w", "-I."}
	if s.config.Lang == "c" {
		flags = append(flags, "-std=gnu17")
	}
	flags = append(flags, s.config.Flags...)
	return clang.Executable(ctx, path, append(append(flags, source), s.config.Link...)...)
}
