package elfobj

import (
	"bytes"
	"debug/elf"
	"fmt"
	"strconv"
	"strings"
)

// Archive is an ar archive: GNU's format, with BSD's long names and symbol
// tables understood.
type Archive struct {
	Name string // as given to ReadArchive; only for messages
	// Members are the files in the order of the archive, without the tables of
	// symbols and names. They may be anything: objects, bitcode, text.
	Members []Member
	// Index gives for each symbol the first member that defines it (an index
	// into Members). It is the archive's own symbol table or, if it has none,
	// made from the global symbols of its ELF members.
	Index map[string]int
}

// Member is one file of an archive; Data aliases the archive's. Names need not be
// unique.
type Member struct {
	Name string
	Data []byte
}

// Path returns archive(member), the usual way to name member i in messages.
func (a *Archive) Path(i int) string { return a.Name + "(" + a.Members[i].Name + ")" }

const (
	archiveMagic = "!<arch>\n"
	thinMagic    = "!<thin>\n"
	memberHeader = 60 // name 16, date 12, uid 6, gid 6, mode 8, size 10, end 2
	memberEnd    = "`\n"
)

// IsArchive reports whether data begins like an ar archive, thin ones included
// (which ReadArchive refuses).
func IsArchive(data []byte) bool {
	return bytes.HasPrefix(data, []byte(archiveMagic)) || bytes.HasPrefix(data, []byte(thinMagic))
}

// ReadArchive reads an ar archive. Members that are ELF files are read only if
// the archive has no symbol table. Errors are *FormatError. name is used in
// messages only.
func ReadArchive(name string, data []byte) (*Archive, error) {
	r := archiveReader{data: data, archive: Archive{Name: name}}
	if err := r.read(); err != nil {
		return nil, err
	}
	return &r.archive, nil
}

type archiveReader struct {
	data    []byte
	archive Archive
	offsets []int // of the members' headers, ascending
	names   []byte
	hasName bool // names was there, maybe empty

	symbols symbolTable
}

// rawMember is a member before its name is understood.
type rawMember struct {
	offset int    // of its header
	field  string // the 16 bytes of its name
	data   []byte
}

func (r *archiveReader) errorf(where string, off int, format string, args ...any) error {
	return &FormatError{File: r.archive.Name, Where: where, Offset: uint64(off), Msg: fmt.Sprintf(format, args...)}
}

// memberError reports a fault of the member that is being read.
func (r *archiveReader) memberError(off int, format string, args ...any) error {
	return r.errorf(fmt.Sprintf("member %d", len(r.archive.Members)), off, format, args...)
}

func (r *archiveReader) read() error {
	switch {
	case bytes.HasPrefix(r.data, []byte(thinMagic)):
		return r.errorf("", 0, "is a thin archive, which holds only the paths of its members; make a regular one (ar rcs without T)")
	case !bytes.HasPrefix(r.data, []byte(archiveMagic)):
		return r.errorf("", 0, "is not an ar archive")
	}
	for off := len(archiveMagic); off < len(r.data); {
		m, next, err := r.rawMember(off)
		if err != nil {
			return err
		}
		if err := r.add(m); err != nil {
			return err
		}
		off = next
	}
	if r.symbols.kind == noSymbols {
		return r.indexMembers()
	}
	return r.indexTable()
}

// rawMember reads the member whose header is at off; next is the offset of the
// one after it.
func (r *archiveReader) rawMember(off int) (m rawMember, next int, err error) {
	if len(r.data)-off < memberHeader {
		return m, 0, r.memberError(off, "header is truncated")
	}
	h := string(r.data[off : off+memberHeader])
	if h[58:] != memberEnd {
		return m, 0, r.memberError(off+58, "header does not end with %q", memberEnd)
	}
	digits := strings.TrimRight(h[48:58], " ")
	size, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return m, 0, r.memberError(off+48, "bad size %q", digits)
	}
	start := off + memberHeader
	if size > uint64(len(r.data)-start) {
		return m, 0, r.memberError(off+48, "%d bytes go beyond the end of the file (%d bytes)", size, len(r.data))
	}
	end := start + int(size)
	next = end + end&1 // members are padded to even offsets, the last one not always
	return rawMember{offset: off, field: h[:16], data: r.data[start:end:end]}, next, nil
}

// add takes m as a table or as a member.
func (r *archiveReader) add(m rawMember) error {
	field := strings.TrimRight(m.field, " ")
	switch field {
	case "/":
		return r.setSymbols(gnu32, m)
	case "/SYM64/":
		return r.setSymbols(gnu64, m)
	case "//":
		if r.hasName {
			return r.errorf("name table", m.offset, "second one")
		}
		r.names, r.hasName = m.data, true
		return nil
	}
	name, err := r.memberName(&m, field)
	if err != nil {
		return err
	}
	switch name {
	case "__.SYMDEF", "__.SYMDEF SORTED":
		return r.setSymbols(bsd32, m)
	case "__.SYMDEF_64", "__.SYMDEF_64 SORTED":
		return r.setSymbols(bsd64, m)
	}
	r.offsets = append(r.offsets, m.offset)
	r.archive.Members = append(r.archive.Members, Member{Name: name, Data: m.data})
	return nil
}

// memberName understands the three ways to name a member: "a.o/" (or BSD "a.o"),
// "/17" (an offset in the name table) and "#1/20" (the first 20 bytes of the
// data, which it cuts off).
func (r *archiveReader) memberName(m *rawMember, field string) (string, error) {
	if digits, ok := strings.CutPrefix(field, "#1/"); ok {
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || n > uint64(len(m.data)) {
			return "", r.memberError(m.offset, "bad name length %q for a member of %d bytes", digits, len(m.data))
		}
		name := string(bytes.TrimRight(m.data[:n], "\x00"))
		m.data = m.data[n:]
		return name, nil
	}
	digits, ok := strings.CutPrefix(field, "/")
	if !ok {
		return strings.TrimSuffix(field, "/"), nil
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return "", r.memberError(m.offset, "bad name %q", field)
	}
	if n >= uint64(len(r.names)) {
		return "", r.memberError(m.offset, "name at %d is outside of the name table (%d bytes)", n, len(r.names))
	}
	name, _, ok := bytes.Cut(r.names[n:], []byte("\n"))
	if !ok {
		return "", r.memberError(m.offset, "name at %d of the name table is not terminated", n)
	}
	return strings.TrimSuffix(string(name), "/"), nil
}

// indexMembers makes the index of an archive without a symbol table.
func (r *archiveReader) indexMembers() error {
	r.archive.Index = map[string]int{}
	for i, m := range r.archive.Members {
		if !IsObject(m.Data) {
			continue
		}
		f, err := Read(r.archive.Path(i), m.Data)
		if err != nil {
			return err
		}
		for j := range f.Symbols {
			s := &f.Symbols[j]
			if s.Section == Undef || s.Bind == elf.STB_LOCAL || s.Name == "" {
				continue
			}
			if _, ok := r.archive.Index[s.Name]; !ok {
				r.archive.Index[s.Name] = i
			}
		}
	}
	return nil
}
