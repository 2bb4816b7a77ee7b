package codegen

import (
	"fmt"
	"path/filepath"
	"strings"

	"livejit/internal/llvm"
)

// IRText is the IR that something was compiled from, as LLVM prints it before it optimises.
type IRText struct {
	File string // name of a file in Options.TextDir, one of its own for each text; nobody has written it
	Text string // without debug information
}

// describe makes the text of m its source, if the options ask for it.
func (p *Program) describe(m *llvm.Module, out *Compiled) error {
	c := p.compiler
	if c.textDir == "" {
		return nil
	}
	of := p.in.Name
	if len(out.Functions) > 0 {
		of = out.Functions[0]
	}
	file := textName(of, c.texts.Add(1))
	text, err := m.DebugIR(c.textDir, file, c.options.OptLevel > 0)
	if err != nil {
		return p.note(err)
	}
	out.Text = &IRText{File: file, Text: text}
	return nil
}

// maxTextName is how much of a name goes into that of a file.
const maxTextName = 100

// textName makes the name of a file for the n-th text, that of a function or a source.
func textName(of string, n int64) string {
	of = strings.TrimSuffix(filepath.Base(of), ".ll")
	of = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) { // ":" would be a line to debuggers
			return '_'
		}
		return r
	}, of[:min(len(of), maxTextName)])
	return fmt.Sprintf("%s.%d.ll", strings.ToValidUTF8(of, "_"), n)
}
