package inspect

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"livejit"
)

// codeAnswer is what /api/code says of one version of a function.
type codeAnswer struct {
	Module      string      `json:"module"`
	Name        string      `json:"name"`
	Title       string      `json:"title"`
	Version     int         `json:"version"`
	Current     bool        `json:"current"`
	Source      *sourceText `json:"source"` // null without debug information, or if the file is gone
	SourceNote  string      `json:"source_note"`
	IR          []string    `json:"ir"`
	IRNote      string      `json:"ir_note"` // why there is none
	Assembly    []codeLine  `json:"assembly"`
	MachineNote string      `json:"assembly_note"`
}

// sourceText is the part of a source file that a function was compiled from, as the file is now.
type sourceText struct {
	File  string   `json:"file"`
	First int      `json:"first"` // line number of the first line
	Lines []string `json:"lines"`
}

// codeLine is one instruction.
type codeLine struct {
	Address uint64 `json:"address"`
	Bytes   string `json:"bytes"` // hexadecimal
	Text    string `json:"text"`
	Line    int    `json:"line"` // of Source; 0 if unknown or of another file
}

// code serves /api/code.
func (h *handler) code(r *http.Request) (any, error) {
	f, err := h.named(r)
	if err != nil {
		return nil, err
	}
	a := codeAnswer{Module: r.FormValue("module"), Name: f.Name(), Title: livejit.Demangle(f.Name()), Version: f.Version(), Current: true, IR: []string{}, Assembly: []codeLine{}}
	wanted := a.Version
	if text := r.FormValue("version"); text != "" {
		if wanted, err = strconv.Atoi(text); err != nil {
			return nil, &requestError{http.StatusBadRequest, fmt.Sprintf("version=%q is not a number", text)}
		}
	}
	var ir, machine string
	var irErr, machineErr error
	past := f.Past()
	if i := slices.IndexFunc(past, func(p livejit.Past) bool { return p.Number == wanted }); i >= 0 {
		a.Version, a.Current = wanted, false
		ir, irErr = past[i].IR()
		machine = past[i].Disassemble()
	} else if wanted == a.Version {
		ir, irErr = f.IR()
		machine, machineErr = f.Disassemble()
	} else {
		return nil, &requestError{http.StatusNotFound, fmt.Sprintf("version %d of %s is not kept (livejit.WithHistory)", wanted, f.Name())}
	}
	if errors.Is(irErr, livejit.ErrClosed) {
		return nil, irErr
	}
	if irErr != nil {
		a.IRNote = irErr.Error()
	} else {
		a.IR = strings.Split(strings.TrimRight(ir, "\n"), "\n")
	}
	if machineErr != nil {
		a.MachineNote = machineErr.Error()
	}
	a.Assembly = parseListing(machine)
	h.addSource(&a)
	return a, nil
}

// parseListing takes the lines of Function.Disassemble apart.
func parseListing(text string) []codeLine {
	list := []codeLine{}
	for line := range strings.Lines(text) {
		address, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		at, err := strconv.ParseUint(address, 16, 64)
		if !ok || err != nil {
			continue // the title
		}
		bytes, instruction, _ := strings.Cut(strings.TrimSpace(rest), " ")
		list = append(list, codeLine{Address: at, Bytes: bytes, Text: strings.TrimSpace(instruction)})
	}
	return list
}

// addSource finds the lines of the source by the debug information of the instructions. The file
// that it names is read from the disk; no other file ever is.
func (h *handler) addSource(a *codeAnswer) {
	a.SourceNote = "no debug information: compile with -g and load with livejit.WithDebug, or load with livejit.WithIRDebug"
	file, low, high := "", 0, 0
	for i := range a.Assembly {
		l, ok := h.eng.Symbolize(a.Assembly[i].Address)
		if !ok || l.Function != a.Name || l.Version != a.Version || l.Line == 0 {
			continue
		}
		if file == "" {
			file, low, high = l.File, l.Line, l.Line
		}
		if l.File == file {
			a.Assembly[i].Line = l.Line
			low, high = min(low, l.Line), max(high, l.Line)
		}
	}
	if file == "" {
		if len(a.Assembly) > 0 && !a.Current {
			a.SourceNote = "the lines of a version that is not in memory any more are not known"
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		a.SourceNote = err.Error()
		return
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if high > len(lines) {
		a.SourceNote = fmt.Sprintf("%s has %d lines, the function was at line %d: it has changed since", file, len(lines), high)
		return
	}
	low, high = max(1, low-2), min(len(lines), high+1)
	a.Source, a.SourceNote = &sourceText{File: file, First: low, Lines: lines[low-1 : high]}, ""
}
