package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"livejit"
	"livejit/internal/repl"
)

const replUsage = `livejit repl is a prompt for C, C++ and LLVM IR.

Usage: livejit repl [options] [FILE...]

What is typed is compiled and becomes part of a program that is alive: definitions can be typed
again in any order, statements run, the value of an expression is printed with its type.
:help lists the commands. FILEs are loaded first: those in the language of the prompt as if they
were typed, IR, bitcode, objects and archives as they are. With standard input not a terminal it is a script:
nothing is echoed, and the first error ends it with exit status 1.

    --lang c|c++|ir   language of the prompt (default c)
    -O0 -O1 -O2 -O3   how hard to optimise (default -O0)
    -l LIB, -L DIR, --cflags "FLAGS"   as with livejit run
    -g                lines of the input in backtraces, in IR instructions
    --keep-going      go on after an error in a script
`

// replOptions is the command line of livejit repl.
type replOptions struct {
	runOptions
	lang      string
	keepGoing bool
}

func parseRepl(args []string) (*replOptions, error) {
	o := &replOptions{lang: "c"}
	var rest []string
	for n := 0; n < len(args); n++ {
		switch name, value, attached := strings.Cut(args[n], "="); {
		case name == "--keep-going":
			o.keepGoing = true
		case name == "--lang" && attached:
			o.lang = value
		case name == "--lang" && n+1 < len(args):
			n++
			o.lang = args[n]
		default:
			rest = append(rest, args[n])
		}
	}
	if o.lang != "c" && o.lang != "c++" && o.lang != "ir" {
		return nil, &usageError{"repl", fmt.Sprintf("--lang is c, c++ or ir, not %q", o.lang)}
	}
	common, err := parseRun(append(rest, "-")) // a FILE is not needed here
	if err != nil {
		return nil, err
	}
	if common.watch || common.stats || common.lazy || common.entry != "main" || common.args != nil {
		return nil, &usageError{"repl", "an option of livejit run that makes no sense at a prompt"}
	}
	common.files = common.files[:len(common.files)-1]
	o.runOptions = *common
	return o, nil
}

// prompt is the verb repl.
func prompt(args []string) (int, error) {
	o, err := parseRepl(args)
	if err != nil {
		return 2, err
	}
	config := repl.Config{
		Lang: o.lang, OptLevel: o.optLevel, Flags: o.cflags, Out: os.Stdout, Notes: os.Stderr, Talk: repl.IsTerminal(),
		Options: []livejit.Option{livejit.WithArgs("repl"), livejit.WithDebug(), livejit.WithHistory(shownVersions)},
		Link:    o.linkFlags(), Inspect: serve,
	}
	switch {
	case o.debug && o.lang == "ir":
		config.Options = append(config.Options, livejit.WithIRDebug())
	case o.debug:
		config.Flags = append([]string{"-g"}, config.Flags...)
	}
	for _, dir := range o.libDirs {
		config.Options = append(config.Options, livejit.WithLibraryDir(dir))
	}
	for _, lib := range o.libs {
		config.Options = append(config.Options, livejit.WithLibrary(lib))
	}
	session, err := repl.New(config)
	if err != nil {
		return 1, err
	}
	ctx := context.Background()
	ok := true
	for _, f := range o.files {
		if err := session.Load(ctx, f); err != nil {
			session.Explain(err)
			ok = false
		}
	}
	switch {
	case repl.IsTerminal():
		if err := session.Terminal(ctx); err != nil {
			return 1, errors.Join(err, session.Close())
		}
		ok = true
	case ok || o.keepGoing:
		fine, err := session.Script(ctx, os.Stdin, o.keepGoing)
		ok = ok && fine && err == nil
		if err != nil {
			return 1, errors.Join(err, session.Close())
		}
	}
	if err := session.Close(); err != nil {
		return 1, err
	}
	if !ok {
		return 1, nil
	}
	return 0, nil
}
