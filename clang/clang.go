// Package clang makes LLVM modules of C and C++ with the front end of clang 22, for
// livejit.Engine.Add.
//
// The front end runs in this process, as the library libclang-cpp, which is opened when the
// first source is translated: a program that translates none does not need it and does not
// pay for loading it. It only translates to bitcode; optimising and code generation are the
// engine's, so that every function stays replaceable.
//
// Every translation has a compiler instance and an LLVM context of its own, so any number
// may run at a time, from any goroutine. A fatal error of clang is returned as a
// livejit.CompileError; what that translation held is lost, the next one starts afresh.
package clang

import (
	"context"
	"fmt"
	"os"
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
	// Buffers are files that are read from memory. They lie over those of the disk.
	Buffers []Buffer
	// Warnings, if set, is called with what clang printed when it succeeded.
	Warnings func(text string)
	// Depends, if set, is called with the files that were read, the source and every header,
	// each once and as clang found it, also when the translation failed. Of a header that is
	// not there nothing is said.
	Depends func(files []string)
	// Declarations, if set, is called with what the source declares at file scope, in its
	// order, also when there are errors in it, as far as clang understood it.
	Declarations func(list []Declaration)
}

// Buffer is a file in memory. A relative path is taken from the working directory.
type Buffer struct{ Path, Text string }

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
		return o.translate(ctx, path)
	})
}

// Source is a translation unit given as text. name stands in messages and debug
// information, and its folder is where quoted includes are looked for first.
func Source(name, text string, o Options) livejit.Source {
	return livejit.Generated(name, func(ctx context.Context) (livejit.Source, error) {
		if o.Lang == "" {
			o.Lang = "c"
		}
		o.Buffers = append(o.Buffers[:len(o.Buffers):len(o.Buffers)], Buffer{name, text})
		return o.translate(ctx, name)
	})
}

// Precompile makes a precompiled header of the header file at path, in the file out, which later
// translations take with the flags -include-pch and out. They have to have the same language and
// options, and everything that was read has to stay as it is. o.Lang is "c" (the default) or
// "c++".
func Precompile(ctx context.Context, path, out string, o Options) error {
	driver, err := library()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	args := append(o.arguments(driver), "-x", o.lang()+"-header", "-Xclang", "-emit-pch", "-Xclang", "-o", "-Xclang", out, "--", path)
	made := compile(args, o.Buffers, false)
	if o.Depends != nil {
		o.Depends(readFiles(made.files))
	}
	if !made.ok {
		return failure(path, made)
	}
	if o.Warnings != nil && made.messages != "" {
		o.Warnings(made.messages)
	}
	return nil
}

// arguments is the beginning of the driver's command line.
func (o Options) arguments(driver string) []string {
	args := []string{driver, "-fPIC", "-fno-color-diagnostics", "-O" + strconv.Itoa(o.OptLevel)}
	if o.OptLevel > 0 {
		args = append(args, "-Xclang", "-disable-llvm-passes")
	}
	return append(args, o.Flags...)
}

// translate runs the front end on the file called name.
func (o Options) translate(ctx context.Context, name string) (livejit.Source, error) {
	driver, err := library()
	if err != nil {
		return livejit.Source{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := ctx.Err(); err != nil {
		return livejit.Source{}, err
	}
	args := append(o.arguments(driver), "-x", o.lang(), "--", name)
	out := compile(args, o.Buffers, o.Declarations != nil)
	if o.Depends != nil {
		o.Depends(readFiles(out.files))
	}
	if o.Declarations != nil {
		list, err := readDeclarations(name, out.declared)
		if err != nil {
			return livejit.Source{}, err
		}
		o.Declarations(list)
	}
	if !out.ok {
		return livejit.Source{}, failure(name, out)
	}
	if o.Warnings != nil && out.messages != "" {
		o.Warnings(out.messages)
	}
	return livejit.Bitcode(name, out.bitcode), nil
}

func (o Options) lang() string {
	if o.Lang == "" {
		return "c"
	}
	return o.Lang
}

// readFiles takes the list of files apart and drops repetitions.
func readFiles(list string) []string {
	var files []string
	seen := map[string]bool{}
	for f := range strings.SplitSeq(list, "\x00") {
		if f = filepath.Clean(f); f != "." && !seen[f] {
			seen[f] = true
			files = append(files, f)
		}
	}
	return files
}

// failure makes a CompileError of what clang printed.
func failure(name string, out compiled) error {
	diagnostics := parseDiagnostics(out.messages)
	if len(diagnostics) == 0 {
		message := strings.TrimSpace(out.messages)
		if message == "" {
			message = "clang gave no reason"
		}
		diagnostics = []livejit.Diagnostic{{File: name, Severity: "error", Message: message}}
	}
	return &livejit.CompileError{Source: name, Stage: "clang", Fatal: out.fatal, Diagnostics: diagnostics}
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
