package jitlink

import (
	"debug/elf"
	"fmt"
	"strings"
	"testing"

	"livejit/internal/linkgraph"
)

// place builds a graph by hand: one function t of the given bytes with one edge at offset, to a symbol of another graph, a function
// of the process, or a datum of the process, or a thread-local variable. It is for types that assemblers do not emit.
func place(m elf.Machine, code []byte, offset uint32, kind linkgraph.Kind, name string, addend int64) *linkgraph.Graph {
	g := &linkgraph.Graph{Name: "test.o", Machine: m, GOT: linkgraph.None}
	g.Sections = []linkgraph.Section{{Name: ".text", Memory: linkgraph.Code, Type: elf.SHT_PROGBITS, Align: 16, Group: linkgraph.None}}
	b := g.AddBlock(linkgraph.Block{Data: code, Size: uint64(len(code)), Align: 16})
	g.Blocks[b].Root = 1
	g.Blocks[b].Edges = []linkgraph.Edge{{Offset: offset, Kind: kind, Target: 2, Addend: addend}}
	null := linkgraph.Symbol{Block: linkgraph.None, Group: linkgraph.None, Def: linkgraph.Absolute, Anonymous: true}
	t := linkgraph.Symbol{Name: "t", Block: b, Group: linkgraph.None, Def: linkgraph.Defined, Scope: linkgraph.Global, Type: linkgraph.Func, Size: uint64(len(code))}
	target := linkgraph.Symbol{Name: name, Block: linkgraph.None, Group: linkgraph.None, Scope: linkgraph.Global}
	if strings.HasSuffix(name, "_tls") {
		target.Type = linkgraph.TLSObject
	}
	g.Symbols = []linkgraph.Symbol{null, t, target}
	return g
}

// goldenLink links such a graph and returns the bytes of t without veneers; e are what a formula can name.
func goldenLink(t *testing.T, g *linkgraph.Graph, n int) (code string, l *linked, err error) {
	t.Helper()
	l, err = link(t, g)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("%x", l.m.at(t, l.BodyOf(1), uint64(n))), l, nil
}

// hex32 is a 32-bit little-endian field in hexadecimal.
func hex32(v uint64) string {
	return fmt.Sprintf("%02x%02x%02x%02x", byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

func TestX86Golden(t *testing.T) {
	const body = 0x1000_0000 + 16 // of t: the first code block in memory
	const got = 0x1800_0000       // the only entry: the first of read-only memory
	const near = dataBase + 64*2  // S of symbol 2
	const stub, slot = stubBase + 32, slotBase + 16
	for _, c := range []struct {
		name   string
		code   []byte
		offset uint32
		kind   int
		target string
		addend int64
		want   string
	}{
		{"CODE_4_GOTPCRELX", []byte{0xd5, 0x48, 0x8b, 0x05, 0, 0, 0, 0}, 4, 43, "near_x", -4, "d5488b05" + hex32(got-body-8)},
		{"CODE_4_GOTPCRELX of a function of the process", []byte{0xd5, 0x48, 0x8b, 0x05, 0, 0, 0, 0}, 4, 43, "host_f", -4, "d5488b05" + hex32(slot-body-8&0xffffffff)},
		{"CODE_4_GOTTPOFF", []byte{0xd5, 0x48, 0x8b, 0x05, 0, 0, 0, 0}, 4, 44, "far_tls", -4, "d5488b05" + hex32(got-body-8)},
		{"CODE_4_GOTPC32_TLSDESC", []byte{0xd5, 0x48, 0x8d, 0x05, 0, 0, 0, 0}, 4, 45, "near_tls", -4, "d5488d05" + hex32(got-body-8)},
		{"CODE_5_GOTPCRELX", []byte{0x62, 0, 0, 0, 5, 0, 0, 0, 0}, 5, 46, "near_x", -4, "6200000005" + hex32(got-body-9)},
		{"CODE_5_GOTTPOFF", []byte{0x62, 0, 0, 0, 5, 0, 0, 0, 0}, 5, 47, "far_tls", -4, "6200000005" + hex32(got-body-9)},
		{"CODE_5_GOTPC32_TLSDESC", []byte{0x62, 0, 0, 0, 5, 0, 0, 0, 0}, 5, 48, "near_tls", -4, "6200000005" + hex32(got-body-9)},
		{"CODE_6_GOTPCRELX", []byte{0x62, 0, 0, 0, 5, 5, 0, 0, 0, 0}, 6, 49, "near_x", -4, "620000000505" + hex32(got-body-10)},
		{"CODE_6_GOTTPOFF", []byte{0x62, 0, 0, 0, 5, 5, 0, 0, 0, 0}, 6, 50, "far_tls", -4, "620000000505" + hex32(got-body-10)},
		{"CODE_6_GOTPC32_TLSDESC", []byte{0x62, 0, 0, 0, 5, 5, 0, 0, 0, 0}, 6, 51, "near_tls", -4, "620000000505" + hex32(got-body-10)},
		{"PC32_BND", []byte{0xf2, 0xe8, 0, 0, 0, 0}, 2, 39, "fn_f", -4, "f2e8" + hex32(stub-body-6)},
		{"PLT32_BND", []byte{0xf2, 0xe8, 0, 0, 0, 0}, 2, 40, "fn_f", -4, "f2e8" + hex32(stub-body-6)},
		{"SIZE32", make([]byte, 4), 0, 32, "near_x", 2, hex32(26)},
		{"GOTPCREL64", make([]byte, 8), 0, 28, "near_x", 2, hex32(got-body+2) + "00000000"},
		{"TLSDESC_CALL marks only", []byte{0xff, 0x10}, 0, 35, "near_tls", 0, "ff10"},
		{"NONE keeps only", []byte{0x90}, 0, 0, "near_x", 0, "90"},
		{"DTPMOD64", make([]byte, 8), 0, 16, "near_tls", 0, "0700000000000000"},
		{"32 zero-extends", make([]byte, 4), 0, 10, "near_x", 0, hex32(near)},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, err := goldenLink(t, place(elf.EM_X86_64, c.code, c.offset, linkgraph.Kind(c.kind), c.target, c.addend), len(c.code))
			if err != nil || code != c.want {
				t.Fatalf("got %s, %v, want %s", code, err, c.want)
			}
		})
	}
	// Offsets from the base of the table: base and entry are two blocks, whichever comes first.
	for _, kind := range []linkgraph.Kind{3, 27, 30} {
		_, l, err := goldenLink(t, place(elf.EM_X86_64, make([]byte, 8), 0, kind, "near_x", 0), 8)
		if err != nil {
			t.Fatal(err)
		}
		base := int64(l.BodyOf(l.Graph.GOT))
		if v := l.word(t, base+l.field(t, "t", 0, 4)); v != near {
			t.Errorf("kind %d: entry holds %#x, want %#x", kind, v, near)
		}
	}
}

func TestGoldenErrors(t *testing.T) {
	for _, c := range []struct {
		machine elf.Machine
		kind    linkgraph.Kind
		want    string
	}{
		{elf.EM_X86_64, 200, "relocation type 200 to near_x: unknown"},
		{elf.EM_X86_64, linkgraph.Made + 77, "unknown"},
		{elf.EM_X86_64, 5, "R_X86_64_COPY to near_x: belongs into linked images only"},
		{elf.EM_X86_64, 36, "linked images only"},
		{elf.EM_AARCH64, 565, "unknown"},
		{elf.EM_AARCH64, 1027, "linked images only"},
	} {
		_, _, err := goldenLink(t, place(c.machine, make([]byte, 16), 0, c.kind, "near_x", 0), 8)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v kind %d: got %v, want %q", c.machine, c.kind, err, c.want)
		}
	}
}
