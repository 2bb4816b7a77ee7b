package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"livejit"
	"livejit/clang"
)

const runUsage = `livejit run loads files as one program, each function on its own, and runs it.

Usage: livejit run [options] FILE... [-- ARG...]

FILE is C or C++ (.c .cc .cpp .cxx), LLVM IR (.ll) or bitcode (.bc), an object (.o) or an
archive (.a), whose members are loaded as they are needed. C and C++ are compiled with
clang 22. ARGs are the program's. The exit status is the program's.

    -O0 -O1 -O2 -O3   how hard to optimise (default -O0); functions are never inlined into
                      each other
    -l LIB            make the symbols of a shared library or archive visible, as a linker does
    -L DIR            also look for libraries in DIR
    --cflags "FLAGS"  flags for clang
    --entry NAME      function to call instead of main
    -g                keep debug information, for backtraces with lines and for gdb
    --ir-debug        like -g, but the source is the IR: backtraces name the IR instruction, and gdb
                      lists, breaks at and steps through it
    --perf map|jitdump   write /tmp/perf-PID.map, or jit-PID.dump, for Linux's perf
    --lazy            compile each function at its first call
    --watch           follow the files and the headers they include; apply each change to the
                      running program and say what became of each function. On a terminal
                      the key r restarts and q quits
    --restart-on-refusal   with --watch: restart when a change cannot be applied
    --build CMD       with --watch: CMD makes the FILEs, and runs again when something else in
                      the working directory changes (not hidden files, objects, target/, build/)
    --emit-exe OUT    do not run: link the FILEs ahead of time, with clang, as the executable OUT
    --http ADDR       show the program in the browser at ADDR, such as 127.0.0.1:8077: functions,
                      versions, memory, changes as they happen (docs/inspector.md)
    --stats           print one JSON object about what was loaded to standard error at exit
`

// runOptions is the command line of livejit run.
type runOptions struct {
	optLevel int
	libs     []string
	libDirs  []string
	cflags   []string
	entry    string
	emitExe  string // link instead of running
	stats    bool
	lazy     bool
	debug    bool
	irDebug  bool
	perf     string
	watch    bool
	http     string
	build    string
	// restartOnRefusal restarts a watched program when a change was refused.
	restartOnRefusal bool
	files            []string
	args             []string
}

// parseRun reads the command line. Options and files may be mixed; all after -- is the
// program's.
func parseRun(args []string) (*runOptions, error) {
	o := &runOptions{entry: "main"}
	wrong := func(format string, a ...any) error { return &usageError{"run", fmt.Sprintf(format, a...)} }
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			o.args = args
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			o.files = append(o.files, arg)
			continue
		}
		name, value, attached := splitOption(arg)
		take := func() (string, error) {
			if attached {
				return value, nil
			}
			if len(args) == 0 {
				return "", wrong("option %s needs a value", name)
			}
			value, args = args[0], args[1:]
			return value, nil
		}
		var err error
		switch name {
		case "-O0", "-O1", "-O2", "-O3":
			o.optLevel = int(name[2] - '0')
		case "-l":
			value, err = take()
			o.libs = append(o.libs, value)
		case "-L":
			value, err = take()
			o.libDirs = append(o.libDirs, value)
		case "--cflags":
			if value, err = take(); err == nil {
				var flags []string
				flags, err = splitWords(value)
				o.cflags = append(o.cflags, flags...)
			}
		case "--entry":
			o.entry, err = take()
		case "--emit-exe":
			o.emitExe, err = take()
		case "--stats":
			o.stats = true
		case "-g":
			o.debug = true
		case "--ir-debug":
			o.irDebug = true
		case "--perf":
			o.perf, err = take()
			if err == nil && o.perf != "map" && o.perf != "jitdump" {
				err = wrong("--perf is map or jitdump, not %s", o.perf)
			}
		case "--lazy":
			o.lazy = true
		case "--watch":
			o.watch = true
		case "--restart-on-refusal":
			o.restartOnRefusal = true
		case "--http":
			o.http, err = take()
		case "--build":
			o.build, err = take()
		default:
			return nil, wrong("unknown option %s", arg)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(o.files) == 0 {
		return nil, wrong("no FILE given")
	}
	if o.debug && o.irDebug {
		return nil, wrong("-g is for lines of the source, --ir-debug for those of the IR: give one")
	}
	if o.emitExe != "" && (o.watch || o.lazy || o.stats || o.entry != "main" || len(o.args) > 0) {
		return nil, wrong("--emit-exe links a program with main and does not run it")
	}
	if !o.watch && (o.build != "" || o.restartOnRefusal) {
		return nil, wrong("--build and --restart-on-refusal need --watch")
	}
	return o, nil
}

// linkFlags are the options about libraries as a linker takes them.
func (o *runOptions) linkFlags() []string {
	var flags []string
	for _, dir := range o.libDirs {
		flags = append(flags, "-L"+dir)
	}
	for _, lib := range o.libs {
		if strings.Contains(lib, "/") {
			flags = append(flags, lib)
		} else {
			flags = append(flags, "-l"+lib)
		}
	}
	return flags
}

// splitOption takes -lm, -L/dir and --name=value apart.
func splitOption(arg string) (name, value string, attached bool) {
	if strings.HasPrefix(arg, "--") {
		return strings.Cut(arg, "=")
	}
	if prefix := arg[:2]; (prefix == "-l" || prefix == "-L") && len(arg) > 2 {
		return prefix, arg[2:], true
	}
	if strings.HasPrefix(arg, "-entry") || strings.HasPrefix(arg, "-stats") || strings.HasPrefix(arg, "-lazy") || strings.HasPrefix(arg, "-cflags") {
		return strings.Cut("-"+arg, "=")
	}
	return arg, "", false
}

// splitWords splits flags at spaces; quotes and backslashes protect spaces as in a shell.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote, escaped := false, rune(0), false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case unicode.IsSpace(r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, &usageError{"run", "unfinished quotation in " + strconv.Quote(s)}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// run is the verb.
func run(args []string) (int, error) {
	o, err := parseRun(args)
	if err != nil {
		return 2, err
	}
	if o.emitExe != "" {
		flags := append([]string{fmt.Sprintf("-O%d", o.optLevel)}, o.cflags...)
		if err := clang.Executable(context.Background(), o.emitExe, slices.Concat(flags, o.files, o.linkFlags())...); err != nil {
			return 1, err
		}
		return 0, nil
	}
	options := []livejit.Option{livejit.WithOptLevel(o.optLevel), livejit.WithArgs(append([]string{o.files[0]}, o.args...)...)}
	if o.http != "" {
		o.debug = !o.irDebug
		options = append(options, livejit.WithHistory(shownVersions))
	}
	switch o.perf {
	case "map":
		options = append(options, livejit.WithPerfMap())
	case "jitdump":
		options = append(options, livejit.WithJitDump(""))
	}
	if o.debug {
		options = append(options, livejit.WithDebug())
	}
	if o.irDebug {
		options = append(options, livejit.WithIRDebug())
	}
	if o.lazy {
		options = append(options, livejit.WithLazy())
	}
	for _, dir := range o.libDirs {
		options = append(options, livejit.WithLibraryDir(dir))
	}
	for _, lib := range o.libs {
		options = append(options, livejit.WithLibrary(lib))
	}
	livejit.DefaultSignals() // before the engine's handlers: what those do not want is as in C
	eng, err := livejit.New(options...)
	if err != nil {
		return 1, err
	}
	if o.http != "" {
		url, _, err := serve(o.http, eng) // as long as the process lives
		if err != nil {
			return 1, errors.Join(fmt.Errorf("--http: %w", err), eng.Close())
		}
		fmt.Fprintf(os.Stderr, "inspector: %s\n", url)
	}
	ctx := context.Background()
	if o.watch {
		return runWatched(ctx, o, eng)
	}
	m, err := eng.Add(ctx, o.sources()...)
	if err != nil {
		return 1, errors.Join(err, eng.Close())
	}
	if o.stats {
		if err := livejit.OnExit(func() { printStats(eng, m) }); err != nil {
			return 1, err
		}
	}
	ctx, restore := signal.NotifyContext(ctx, os.Interrupt)
	status, err := eng.Main(ctx, o.entry)
	restore()
	if err != nil {
		return failureStatus(err), err
	}
	livejit.Exit(status) // as C does when main returns: handlers run and stdio is flushed
	return status, nil
}

// failureStatus is the exit status after a call that failed: as a shell's for a program that a signal ended, 128 and the
// signal's number.
func failureStatus(err error) int {
	var fault *livejit.FaultError
	var exception *livejit.ExceptionError
	var interrupt *livejit.InterruptError
	switch {
	case errors.As(err, &fault):
		return 128 + int(fault.Signal)
	case errors.As(err, &exception): // C++'s std::terminate
		return 128 + int(syscall.SIGABRT)
	case errors.As(err, &interrupt):
		return 128 + int(syscall.SIGINT)
	}
	return 1
}

// sources makes a source of each file.
func (o *runOptions) sources() []livejit.Source {
	front := clang.Options{OptLevel: o.optLevel, Flags: o.cflags, Warnings: func(text string) { fmt.Fprint(os.Stderr, text) }}
	if o.debug {
		front.Flags = append([]string{"-g"}, o.cflags...)
	}
	var list []livejit.Source
	for _, f := range o.files {
		if clang.IsFile(f) {
			list = append(list, clang.File(f, front))
		} else {
			list = append(list, livejit.File(f))
		}
	}
	return list
}

// printStats prints the object of --stats.
func printStats(eng *livejit.Engine, modules ...*livejit.Module) {
	out := struct {
		Engine livejit.Stats        `json:"engine"`
		Module *livejit.ModuleStats `json:"module,omitempty"` // where the program is one
	}{Engine: eng.Stats()}
	if len(modules) == 1 {
		stats := modules[0].Stats()
		out.Module = &stats
	}
	text, err := json.Marshal(out)
	if err != nil {
		fmt.Fprintf(os.Stderr, "livejit: statistics: %v\n", err)
		return
	}
	fmt.Fprintf(os.Stderr, "%s\n", text)
}

// isDiagnostic says whether an error's own text says where it belongs.
func isDiagnostic(err error) bool {
	var compile *livejit.CompileError
	var format *livejit.FormatError
	return errors.As(err, &compile) || errors.As(err, &format)
}
