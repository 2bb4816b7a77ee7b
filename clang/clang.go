// Package clang makes LLVM modules of C and C++ with the installed clang 22, for
// livejit.Engine.Add.
//
// The compiler is run as a process. It only translates to bitcode; optimising and code
// generation are the engine's, so that every function stays replaceable.
package clang

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"livejit"
)

// Options say how to translate. The zero Options translate without optimising.
type Options struct {
	// Lang is "c" or "c++". Default: by the file's name; for Source, "c".
	Lang string
	// OptLevel is the level the engine will optimise at (its WithOptLevel), 0 to 3: it
	// decides which attributes and annotations the front end emits.
	OptLevel int
	// Flags are given to clang as they are: -I, -D, -std=, -g and the like.
	Flags []string
	// Warnings, if set, is called with what clang printed when it succeeded.
	Warnings func(text string)
	// Command is the compiler. Default: the environment's LIVEJIT_CLANG, or clang-22.
	Command string
}

// extensions of source files and the languages they hold, as clang takes them.
var extensions = map[string]string{
	".c": "c", ".i": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".c++": "c++", ".C": "c++", ".ii": "c++",
}

// IsFile says whether path is named like a C or C++ source file.
func IsFile(path string) bool { return extensions[filepath.Ext(path)] != "" }

// File is a C or C++ file, translated when it is added.
func File(path string, o Options) livejit.Source {
	return livejit.Generated(path, func(ctx context.Context) (livejit.Source, error) {
		if _, err := os.Stat(path); err != nil {
			return livejit.Source{}, err
		}
		if o.Lang == "" {
			o.Lang = extensions[filepath.Ext(path)]
		}
		return o.translate(ctx, path, path, nil)
	})
}

// Source is a translation unit given as text. name stands in messages and debug
// information.
func Source(name, text string, o Options) livejit.Source {
	return livejit.Generated(name, func(ctx context.Context) (livejit.Source, error) {
		line := fmt.Sprintf("# 1 %s\n", strconv.Quote(name))
		return o.translate(ctx, name, "-", strings.NewReader(line+text))
	})
}

// translate runs clang on input, which is "-" for stdin.
func (o Options) translate(ctx context.Context, name, input string, stdin *strings.Reader) (livejit.Source, error) {
	lang := o.Lang
	if lang == "" {
		lang = "c"
	}
	args := []string{"-c", "-emit-llvm", "-fPIC", "-fno-color-diagnostics", "-O" + strconv.Itoa(o.OptLevel)}
	if o.OptLevel > 0 {
		args = append(args, "-Xclang", "-disable-llvm-passes")
	}
	args = append(args, o.Flags...)
	args = append(args, "-x", lang, "-o", "-", input)

	cmd := exec.CommandContext(ctx, o.command(), args...)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if stdin != nil {
		cmd.Stdin = stdin
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return livejit.Source{}, ctx.Err()
	}
	if err != nil {
		return livejit.Source{}, o.failure(name, err, messages.String())
	}
	if o.Warnings != nil && messages.Len() > 0 {
		o.Warnings(messages.String())
	}
	return livejit.Bitcode(name, out.Bytes()), nil
}

func (o Options) command() string {
	switch {
	case o.Command != "":
		return o.Command
	case os.Getenv("LIVEJIT_CLANG") != "":
		return os.Getenv("LIVEJIT_CLANG")
	}
	return "clang-22"
}

// failure makes a CompileError of what clang printed.
func (o Options) failure(name string, err error, text string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s: %s is not installed (scripts/setup installs it): %w", name, o.command(), err)
	}
	diagnostics := parseDiagnostics(text)
	if len(diagnostics) == 0 {
		message := strings.TrimSpace(text)
		if message == "" {
			message = err.Error()
		}
		diagnostics = []livejit.Diagnostic{{File: name, Severity: "error", Message: message}}
	}
	return &livejit.CompileError{Source: name, Stage: "clang", Diagnostics: diagnostics}
}

// A located message (file:line:column: severity: text), one without a place
// (severity: text), and the source line below it (12 | int x = ;).
var (
	located   = regexp.MustCompile(`^(.+?):(\d+):(\d+): (fatal error|error|warning|note): (.*)$`)
	unlocated = regexp.MustCompile(`^(?:clang(?:-\d+|\+\+)?: )?(fatal error|error|warning|note): (.*)$`)
	quoted    = regexp.MustCompile(`^ *\d+ \| (.*)$`)
)

// parseDiagnostics reads what clang prints. The first error comes first, whatever
// warnings stand before it.
func parseDiagnostics(text string) []livejit.Diagnostic {
	var all []livejit.Diagnostic
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := located.FindStringSubmatch(line); m != nil {
			row, _ := strconv.Atoi(m[2])
			column, _ := strconv.Atoi(m[3])
			all = append(all, livejit.Diagnostic{File: m[1], Line: row, Column: column, Severity: severity(m[4]), Message: m[5]})
		} else if m := unlocated.FindStringSubmatch(line); m != nil {
			all = append(all, livejit.Diagnostic{Severity: severity(m[1]), Message: m[2]})
		} else if m := quoted.FindStringSubmatch(line); m != nil && len(all) > 0 && all[len(all)-1].SourceLine == "" {
			all[len(all)-1].SourceLine = m[1]
		}
	}
	for i, d := range all {
		if d.Severity == "error" {
			return append(append([]livejit.Diagnostic{d}, all[:i]...), all[i+1:]...)
		}
	}
	return all
}

func severity(s string) string { return strings.TrimPrefix(s, "fatal ") }
