package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"livejit"
	"livejit/clang"
)

const splitUsage = `livejit split writes the functions of a module as bitcode modules of their own.

Usage: livejit split FILE -o DIR [--cflags "FLAGS"]

FILE is LLVM IR (.ll), bitcode (.bc), C or C++. DIR is made if it is missing. Each
function goes to DIR/NNNNN-NAME.bc in the order of the source, variables, constructor lists
and module assembly to DIR/data.bc. Static functions and variables get unique names with
hidden visibility. Linking all of them again, for example with llvm-link-22, gives the same
program.
`

// split is the verb.
func split(args []string) (int, error) {
	var file, dir string
	var cflags []string
	wrong := func(format string, a ...any) (int, error) {
		return 2, &usageError{"split", fmt.Sprintf(format, a...)}
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, attached := splitOption(arg)
		needsValue := arg == "-o" || name == "--cflags"
		if needsValue && !attached {
			if i++; i == len(args) {
				return wrong("option %s needs a value", arg)
			}
			value = args[i]
		}
		switch {
		case arg == "-o":
			dir = value
		case name == "--cflags":
			words, err := splitWords(value)
			if err != nil {
				return 2, err
			}
			cflags = append(cflags, words...)
		case strings.HasPrefix(arg, "-"):
			return wrong("unknown option %s", arg)
		case file != "":
			return wrong("one FILE at a time")
		default:
			file = arg
		}
	}
	if file == "" || dir == "" {
		return wrong("FILE and -o DIR are needed")
	}

	source := livejit.File(file)
	if clang.IsFile(file) {
		source = clang.File(file, clang.Options{Flags: cflags, Warnings: func(text string) { fmt.Fprint(os.Stderr, text) }})
	}
	parts, err := livejit.SplitContext(context.Background(), source)
	if err != nil {
		return 1, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 1, err
	}
	for i, part := range parts {
		if err := os.WriteFile(filepath.Join(dir, partFile(i, part)), part.Bitcode, 0o666); err != nil {
			return 1, err
		}
	}
	fmt.Printf("%d modules in %s\n", len(parts), dir)
	return 0, nil
}

// partFile names the file of a part: names of C++ functions may be longer than file names
// can be and hold any character.
func partFile(i int, part livejit.FunctionModule) string {
	if len(part.Functions) == 0 {
		return "data.bc"
	}
	name := strings.Map(func(r rune) rune {
		if r == '_' || r == '.' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, part.Functions[0])
	return fmt.Sprintf("%05d-%.100s.bc", i, name)
}
