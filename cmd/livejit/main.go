// Command livejit runs native programs as functions that can be changed while they run.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const usage = `livejit runs C, C++ and LLVM programs function by function.

Usage:

    livejit run [options] FILE... [-- ARG...]   load files and run main
    livejit repl [options] [FILE...]            a prompt for C, C++ and LLVM IR
    livejit split FILE -o DIR                   write one bitcode module for each function
    livejit bench [options]                     measure replacing, memory and calls here
    livejit help [run|repl|split|bench]         this text, or that of a command

Exit status is the program's; 2 for wrong usage, 1 when a file cannot be loaded.
`

// command is one verb.
type command struct {
	usage string
	run   func(args []string) (status int, err error)
}

var commands = map[string]command{
	"bench": {benchUsage, bench},
	"repl":  {replUsage, prompt},
	"run":   {runUsage, run},
	"split": {splitUsage, split},
}

// usageError is a mistake in the command line.
type usageError struct {
	command string
	text    string
}

func (e *usageError) Error() string { return e.text }

func main() { os.Exit(dispatch(os.Args[1:], os.Stdout, os.Stderr)) }

// dispatch runs the verb and returns the exit status.
func dispatch(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	name := args[0]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		return help(args[1:], stdout, stderr)
	}
	c, ok := commands[name]
	if !ok {
		fmt.Fprintf(stderr, "livejit: unknown command %q; see livejit help\n", name)
		return 2
	}
	for _, a := range args[1:] {
		if a == "--" {
			break
		}
		if a == "-h" || a == "-help" || a == "--help" {
			fmt.Fprint(stdout, c.usage)
			return 0
		}
	}
	status, err := c.run(args[1:])
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "livejit %s: %s; see livejit help %s\n", name, wrong.text, name)
		return 2
	case err != nil:
		printError(stderr, err)
		return max(status, 1)
	}
	return status
}

func help(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stdout, usage)
		return 0
	}
	c, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "livejit: unknown command %q; see livejit help\n", args[0])
		return 2
	}
	fmt.Fprint(stdout, c.usage)
	return 0
}

// printError prints an error as compilers do. Diagnostics say where they belong; anything
// else is the command's.
func printError(w io.Writer, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			printError(w, e)
		}
		return
	}
	text := fmt.Sprintf("%+v", err)
	if !isDiagnostic(err) {
		text = "livejit: error: " + text
	}
	fmt.Fprintln(w, strings.TrimRight(text, "\n"))
}
