package repl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"livejit"
	"livejit/clang"
	"livejit/internal/llvm"
)

// unit is one translation: text with what it needs in front.
type unit struct {
	source       livejit.Source
	text         string // without what stands in front
	declarations []clang.Declaration
	warnings     string
	shown        *clang.Layout    // of the value that it shows, in IR
	values       []llvm.KeptValue // that it keeps, in IR
}

// translate compiles text, whose messages call it name. Items for which leave is true are not
// declared to it, nor those that it seems to define itself. The unit is there after an error, too.
func (s cFamily) translate(ctx context.Context, text, name string, leave func(*item) bool) (*unit, error) {
	own := given(text)
	excluded := map[string]bool{}
	overloads := s.config.Lang == "c"
	for {
		u, err := s.compile(ctx, text, name, func(i *item) bool {
			if leave != nil && leave(i) {
				return true
			}
			for _, n := range i.names {
				if excluded[n] || own[n] && (overloads || i.kind == header) {
					return true
				}
			}
			return false
		})
		if err != nil && strings.Contains(err.Error(), "redefinition of default argument") && !overloads {
			overloads = true // the old declaration has the default, too
			continue
		}
		clash := clashing(err)
		if clash == "" || excluded[clash] || s.program.named[clash] == nil {
			return u, err
		}
		excluded[clash] = true // text gives it a meaning: it is not to have the old one
	}
}

// clashing returns the name that clang found defined twice.
func clashing(err error) string {
	var compile *livejit.CompileError
	if !errors.As(err, &compile) {
		return ""
	}
	for _, d := range compile.Diagnostics {
		for _, start := range []string{"redefinition of ", "conflicting types for ", "redeclaration of ", "typedef redefinition", "use of ", "functions that differ only in their return type"} {
			if d.Severity == "error" && strings.HasPrefix(d.Message, start) && (start != "use of " || strings.Contains(d.Message, "does not match previous declaration")) {
				if _, rest, ok := strings.Cut(d.Message, "'"); ok {
					name, _, _ := strings.Cut(rest, "'")
					return name
				}
			}
		}
	}
	return ""
}

// compile runs the front end once.
func (s cFamily) compile(ctx context.Context, text, name string, leave func(*item) bool) (*unit, error) {
	u := &unit{text: text}
	s.counter++ // a module of its own
	front := s.program.preamble(identifiers(text), leave) + "#line 1 \"" + name + "\"\n"
	options := clang.Options{
		Lang: s.config.Lang, OptLevel: s.config.OptLevel, Flags: s.flags(),
		Warnings: func(text string) { u.warnings = text },
		Declarations: func(list []clang.Declaration) {
			for _, d := range list {
				if d.Range[0] < len(front) {
					continue
				}
				for _, r := range []*[2]int{&d.Range, &d.Init} {
					if r[1] > 0 {
						r[0], r[1] = r[0]-len(front), r[1]-len(front)
					}
				}
				u.declarations = append(u.declarations, d)
			}
		},
	}
	begin := time.Now()
	source, err := clang.Source(fmt.Sprintf("prompt%d", s.counter), front+text+"\n", options).Generate(ctx)
	s.spent.front += time.Since(begin)
	u.source = source
	return u, err
}

// flags are those of every translation.
func (s cFamily) flags() []string {
	flags := []string{"-Wno-implicit-function-declaration", "-Wno-deprecated-non-prototype", "-Wno-c2x-extensions", "-I."}
	if s.config.Lang == "c" {
		flags = append(flags, "-std=gnu17")
	}
	if s.pch != "" {
		flags = append(flags, "-include-pch", s.pch)
	}
	return append(flags, s.config.Flags...)
}

// refresh brings the precompiled header up to date.
func (s cFamily) refresh(ctx context.Context) error {
	text, last := s.program.headers()
	if text == s.headers {
		return nil
	}
	before := s.pch
	s.pch = ""
	if last > 0 {
		s.counter++
		path := s.file(fmt.Sprintf("headers%d.h", s.counter))
		begin := time.Now()
		err := os.WriteFile(path, []byte("#line 1 \"input\"\n"+text), 0o600)
		if err == nil {
			err = clang.Precompile(ctx, path, path+".pch", clang.Options{Lang: s.config.Lang, OptLevel: s.config.OptLevel, Flags: s.flags()})
		}
		s.spent.front += time.Since(begin)
		if err != nil {
			s.pch = before
			return err
		}
		s.pch = path + ".pch"
	}
	s.headers = text
	if before != "" {
		return errors.Join(os.Remove(before), os.Remove(strings.TrimSuffix(before, ".pch")))
	}
	return nil
}
