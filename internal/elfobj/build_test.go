package elfobj

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A testSection is a section of a hand-made object. Its header's fields are as
// in the format.
type testSection struct {
	name       string
	typ        elf.SectionType
	flags      uint64
	data       []byte
	size       uint64 // for SHT_NOBITS; else that of data
	link, info uint32
	align, ent uint64
}

// A testObject is a hand-made object. Section 0 and, as the last one, the
// section name table are added to sections.
type testObject struct {
	machine  elf.Machine
	sections []testSection
}

// bytes lays the object out: ELF header, contents, section headers.
func (o testObject) bytes() []byte {
	le := binary.LittleEndian
	names := []byte{0}
	all := append([]testSection{{}}, o.sections...)
	all = append(all, testSection{name: ".shstrtab", typ: elf.SHT_STRTAB})
	offsets := make([]int, len(all))
	for i := range all {
		if all[i].name != "" {
			offsets[i] = len(names)
			names = append(append(names, all[i].name...), 0)
		}
	}
	all[len(all)-1].data = names

	out := make([]byte, headerSize)
	headers := make([]byte, len(all)*sectionSize)
	for i, s := range all {
		for len(out)%8 != 0 {
			out = append(out, 0)
		}
		h := headers[i*sectionSize:]
		le.PutUint32(h[0x00:], uint32(offsets[i]))
		le.PutUint32(h[0x04:], uint32(s.typ))
		le.PutUint64(h[0x08:], s.flags)
		if i > 0 {
			le.PutUint64(h[0x18:], uint64(len(out)))
		}
		le.PutUint64(h[0x20:], max(uint64(len(s.data)), s.size))
		le.PutUint32(h[0x28:], s.link)
		le.PutUint32(h[0x2c:], s.info)
		le.PutUint64(h[0x30:], s.align)
		le.PutUint64(h[0x38:], s.ent)
		out = append(out, s.data...)
	}
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	machine := o.machine
	if machine == 0 {
		machine = elf.EM_X86_64
	}
	copy(out, elf.ELFMAG+"\x02\x01\x01")
	le.PutUint16(out[0x10:], uint16(elf.ET_REL))
	le.PutUint16(out[0x12:], uint16(machine))
	le.PutUint32(out[0x14:], 1)
	le.PutUint64(out[0x28:], uint64(len(out)))
	le.PutUint16(out[0x34:], headerSize)
	le.PutUint16(out[0x3a:], sectionSize)
	num, str := len(all), len(all)-1
	if num >= int(elf.SHN_LORESERVE) {
		le.PutUint64(headers[0x20:], uint64(num))
		num = 0
	}
	if str >= int(elf.SHN_LORESERVE) {
		le.PutUint32(headers[0x28:], uint32(str))
		str = int(elf.SHN_XINDEX)
	}
	le.PutUint16(out[0x3c:], uint16(num))
	le.PutUint16(out[0x3e:], uint16(str))
	return append(out, headers...)
}

func symbolBytes(name uint32, info, other byte, shndx uint16, value, size uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, name)
	b = append(b, info, other)
	b = binary.LittleEndian.AppendUint16(b, shndx)
	b = binary.LittleEndian.AppendUint64(b, value)
	return binary.LittleEndian.AppendUint64(b, size)
}

func relaBytes(off uint64, sym, kind uint32, addend int64) []byte {
	b := relBytes(off, sym, kind)
	return binary.LittleEndian.AppendUint64(b, uint64(addend))
}

func relBytes(off uint64, sym, kind uint32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, off)
	return binary.LittleEndian.AppendUint64(b, uint64(sym)<<32|uint64(kind))
}

func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Indices of the sections and symbols of smallObject.
const (
	smallText = iota + 1
	smallRela
	smallData
	smallBSS
	smallStr
	smallSym
	smallGroup
	smallNames
)

// smallObject has one of everything: code with relocations, data, zero-fill, a
// COMDAT group, and symbols of all sorts.
func smallObject() testObject {
	const strtab = "\x00main\x00puts\x00count\x00limit\x00"
	return testObject{sections: []testSection{
		smallText - 1: {name: ".text", typ: elf.SHT_PROGBITS, flags: 6 | uint64(elf.SHF_GROUP), data: []byte("\xe8\x00\x00\x00\x00\xc3"), align: 16},
		smallRela - 1: {name: ".rela.text", typ: elf.SHT_RELA, flags: uint64(elf.SHF_GROUP), data: relaBytes(1, 3, uint32(elf.R_X86_64_PLT32), -4), link: smallSym, info: smallText, align: 8, ent: relaSize},
		smallData - 1: {name: ".data", typ: elf.SHT_PROGBITS, flags: 3, data: []byte{1, 2, 3, 4, 5, 6, 7, 8}, align: 8},
		smallBSS - 1:  {name: ".bss", typ: elf.SHT_NOBITS, flags: 3, size: 0x100000, align: 32},
		smallStr - 1:  {name: ".strtab", typ: elf.SHT_STRTAB, data: []byte(strtab)},
		smallSym - 1: {name: ".symtab", typ: elf.SHT_SYMTAB, link: smallStr, info: 2, align: 8, ent: symbolSize, data: join(
			symbolBytes(0, 0, 0, 0, 0, 0),
			symbolBytes(0, 3, 0, smallText, 0, 0),                   // section symbol
			symbolBytes(1, 0x12, 2, smallText, 0, 6),                // main: global function, hidden
			symbolBytes(6, 0x20, 0, 0, 0, 0),                        // puts: weak undefined
			symbolBytes(11, 0x11, 0, uint16(elf.SHN_COMMON), 8, 40), // count: common
			symbolBytes(17, 0x10, 0, uint16(elf.SHN_ABS), 99, 0),    // limit: absolute
		)},
		smallGroup - 1: {name: ".group", typ: elf.SHT_GROUP, data: words(1, smallText, smallRela), link: smallSym, info: 2, align: 4, ent: 4},
	}}
}

// tool returns a program's path, or skips the test where it is not installed.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program in dir.
func run(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(tool(t, args[0]), args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// compile writes source to a file called name and returns the object made of it.
func compile(t testing.TB, name, source string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	run(t, dir, append(args, "-c", "-o", "out.o", name)...)
	return readFile(t, filepath.Join(dir, "out.o"))
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
