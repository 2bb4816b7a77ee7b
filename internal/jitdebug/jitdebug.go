// Package jitdebug tells debuggers and profilers what JIT code there is: source lines by
// program counter, symbol files for the GDB JIT interface, perf's map and jitdump files, and the names
// for Go's own tracebacks and profiles.
//
// An [Object] is what was linked from one object file with its debug information: the .debug_*
// sections with every address filled in. Objects are made once their code has its addresses.
package jitdebug

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Object is the functions that were linked from one object, with its debug information. The
// fields do not change once it is used, but for the contents of Sections, which
// [Object.Drop] and [Object.Rename] change.
type Object struct {
	Name      string
	Machine   elf.Machine
	Functions []Function
	Sections  []Section // debug information; empty: names only

	table sync.Once
	lines []line // sorted by pc
	fault error  // of reading them
}

// Function is one body of machine code.
type Function struct {
	Name    string // as the linker knows it
	Version int    // 0: it has none
	Start   uint64
	Size    uint64
	Piece   int // in which of the object's pieces it lies
}

// Title is the name with the version, "f@3".
func (f *Function) Title() string {
	if f.Version == 0 {
		return f.Name
	}
	return fmt.Sprintf("%s@%d", f.Name, f.Version)
}

// Section is one section of debug information. Data is final for an object that stands alone:
// references to code hold addresses, those to other sections of debug information their
// offsets.
type Section struct {
	Name string
	Data []byte
	Refs []Ref // the places in Data that refer to code or to another section
}

// Ref is a place in debug information that refers to something.
type Ref struct {
	Offset uint32
	Size   uint8 // bytes, 4 or 8
	To     int16 // index of the section it refers to; -1: code
	Piece  int32 // of code
}

// line is a row of the line table: it holds from pc to the next row.
type line struct {
	pc           uint64
	file         string // "" ends a sequence
	line, column int
}

// Line returns the source line of pc by the object's debug information: file as the
// compiler was given it, line and column from 1 (0: unknown). ok is false where there is none. The error says that
// the debug information cannot be read. It is safe for concurrent use. The first call reads the table.
func (o *Object) Line(pc uint64) (file string, row, column int, ok bool, err error) {
	o.table.Do(func() { o.lines, o.fault = o.readLines() })
	i, found := slices.BinarySearchFunc(o.lines, pc, func(l line, pc uint64) int { return cmp.Compare(l.pc, pc) })
	if found {
		for i+1 < len(o.lines) && o.lines[i+1].pc == pc { // the last row of an address is the one that holds
			i++
		}
	} else {
		i--
	}
	if i < 0 || o.lines[i].file == "" {
		return "", 0, 0, false, o.fault
	}
	l := &o.lines[i]
	return l.file, l.line, l.column, true, nil
}

// DWARF opens the debug information.
func (o *Object) DWARF() (*dwarf.Data, error) {
	sections := make(map[string][]byte, len(o.Sections))
	for i := range o.Sections {
		s := &o.Sections[i]
		if sections[s.Name] == nil { // type units in COMDAT groups have sections of the same name: not read here
			sections[s.Name] = s.Data
		}
	}
	take := func(name string) []byte { return sections[".debug_"+name] }
	d, err := dwarf.New(take("abbrev"), take("aranges"), take("frame"), take("info"), take("line"), take("pubnames"), take("ranges"), take("str"))
	if err != nil {
		return nil, fmt.Errorf("debug information of %s: %w", o.Name, err)
	}
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists", "loclists"} {
		if data := take(name); data != nil {
			if err := d.AddSection(".debug_"+name, data); err != nil {
				return nil, fmt.Errorf("debug information of %s: .debug_%s: %w", o.Name, name, err)
			}
		}
	}
	return d, nil
}

// readLines reads the line tables of all compile units. Sequences of code that was not loaded
// begin at 0 and are left out.
func (o *Object) readLines() ([]line, error) {
	d, err := o.DWARF()
	if err != nil {
		return nil, err
	}
	var rows []line
	for units := d.Reader(); ; units.SkipChildren() {
		unit, err := units.Next()
		if err != nil || unit == nil {
			return sortLines(rows), err
		}
		lines, err := d.LineReader(unit)
		if err != nil {
			return nil, fmt.Errorf("line table of %s: %w", o.Name, err)
		}
		if lines == nil {
			continue
		}
		dir, _ := unit.Val(dwarf.AttrCompDir).(string)
		name, _ := unit.Val(dwarf.AttrName).(string)
		if rows, err = appendLines(rows, lines, dir, name); err != nil {
			return nil, fmt.Errorf("line table of %s: %w", o.Name, err)
		}
	}
}

// appendLines adds the rows of one line program, of a unit that was made in dir from the file called name.
func appendLines(rows []line, r *dwarf.LineReader, dir, name string) ([]line, error) {
	var e dwarf.LineEntry
	start := len(rows)
	for {
		err := r.Next(&e)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		l := line{pc: e.Address, line: e.Line, column: e.Column}
		if !e.EndSequence && e.File != nil {
			l.file = asGiven(e.File.Name, dir, name)
		}
		rows = append(rows, l)
		if e.EndSequence {
			if rows[start].pc == 0 {
				rows = rows[:start]
			}
			start = len(rows)
		}
	}
}

// asGiven undoes what debug/dwarf does to a file name: it puts the working directory of the compiler in front, in DWARF 5 also of the
// absolute name of the source itself. Other files of a source with an absolute name are left as they are found: most were looked for beside it.
func asGiven(file, dir, name string) string {
	if filepath.IsAbs(name) {
		if file == path.Join(dir, name) {
			return name
		}
		return file
	}
	if rest, ok := strings.CutPrefix(file, filepath.Clean(dir)+"/"); ok && dir != "" {
		return rest
	}
	return file
}

// sortLines orders rows by address; where one sequence ends and another begins, the end
// comes first.
func sortLines(rows []line) []line {
	slices.SortStableFunc(rows, func(a, b line) int {
		if c := cmp.Compare(a.pc, b.pc); c != 0 {
			return c
		}
		switch {
		case a.file == "" && b.file != "":
			return -1
		case a.file != "" && b.file == "":
			return 1
		}
		return 0
	})
	return rows
}
