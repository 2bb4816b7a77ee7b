package jitlink

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"livejit/internal/linkgraph"
)

// target is what a machine adds to the link: its table of relocation types and how its edges are planned.
type target struct {
	machine elf.Machine
	rows    []row // by relocation type; a row without a name is no type of the machine
	fill    byte  // between code blocks: traps
	// far makes, at the end of the block being planned, a jump to a target that no branch reaches (through a GOT entry).
	far func(p *planner, target linkgraph.SymbolID) uint32
	// word64 is the plain 64-bit absolute type, and the types that GOT entries for thread-local variables need.
	word64, dtpmod, dtpoff, tpoff linkgraph.Kind
}

// row is one relocation type.
type row struct {
	name  string
	width uint8 // bytes of the field; 0: nothing is stored
	// plan may rewrite the edge, before addresses are known; nil: nothing to do.
	plan func(p *planner, e *linkgraph.Edge)
	// value is the psABI's formula.
	value func(f *fixer, e *linkgraph.Edge) uint64
	// store checks the range and stores, and returns "" or why it cannot.
	store func(field []byte, v uint64) string
}

func targetOf(m elf.Machine) *target {
	switch m {
	case elf.EM_X86_64:
		return &x86_64
	case elf.EM_AARCH64:
		return &aarch64
	}
	return nil
}

// Planning marks on the kind of an edge which of a symbol's addresses it uses; without a mark it is the address as AddressOf says.
const (
	viaBody linkgraph.Kind = 1 << (16 + iota) // the place of the definition itself
	viaStub                                   // the near branch entry; the place or Addr if there is none
	viaSlot                                   // the near slot that holds the callable address

	viaMask  = viaBody | viaStub | viaSlot
	kindMask = viaBody - 1
)

// row returns the row of a kind, nil if there is none.
func (t *target) row(k linkgraph.Kind) *row {
	k &= kindMask
	rows := t.rows
	if k >= linkgraph.Made {
		rows, k = madeRows[:], k-linkgraph.Made
	}
	if int(k) >= len(rows) || rows[k].name == "" {
		return nil
	}
	return &rows[k]
}

func (t *target) kindName(k linkgraph.Kind) string {
	if r := t.row(k); r != nil {
		return r.name
	}
	return fmt.Sprintf("relocation type %d", k&kindMask)
}

// kindDescriptor fills the first two words of a TLS descriptor; {module, offset} follow.
const kindDescriptor = linkgraph.Made + 1

// madeRows are the types that no object holds, by type - linkgraph.Made.
var madeRows = [...]row{
	linkgraph.CIEPointer - linkgraph.Made: {"FDE to CIE", 4, nil, valuePS, storeSigned32},
	kindDescriptor - linkgraph.Made:       {"TLS descriptor", 16, nil, valueDescriptor, storeNone},
}

// valueDescriptor stores {resolver, address of the {module, offset} pair}. (TLS descriptors, Oliva and de Assis Moura, 2.4.)
func valueDescriptor(f *fixer, e *linkgraph.Edge) uint64 {
	resolver := f.l.o.TLSDescResolver
	if resolver == 0 {
		f.msg = "no resolver for TLS descriptors; compile with -mtls-dialect=gnu"
		return 0
	}
	store64(f.mem[e.Offset:], resolver)
	store64(f.mem[e.Offset+8:], f.P(e)+16)
	return resolver
}

// valueNearSA is S + A for fields too narrow for any address: a function of the process is then referred to by its stub, as static
// linkers do for code that is not position-independent (its address then differs from the one the process sees); a constant of the
// process by its copy.
func valueNearSA(f *fixer, e *linkgraph.Edge) uint64 {
	v := valueSA(f, e)
	if s := &f.g.Symbols[e.Target]; v > 1<<31-1 && (s.StandIn || s.StubTarget && s.Target.SlotIsAddr) && s.Target.Stub != 0 {
		return s.Target.Stub + uint64(e.Addend)
	}
	return v
}

// The formulas, in the letters of the psABIs: S symbol, A addend, P place, G offset of the GOT entry, GOT its base, Z size.

func valueSA(f *fixer, e *linkgraph.Edge) uint64  { return f.S(e) + uint64(e.Addend) }
func valueSAP(f *fixer, e *linkgraph.Edge) uint64 { return f.S(e) + uint64(e.Addend) - f.P(e) }
func valueZA(f *fixer, e *linkgraph.Edge) uint64  { return f.Z(e) + uint64(e.Addend) }
func valuePS(f *fixer, e *linkgraph.Edge) uint64  { return f.P(e) - f.S(e) }
func valueZero(*fixer, *linkgraph.Edge) uint64    { return 0 }

func valueSAGOT(f *fixer, e *linkgraph.Edge) uint64 { return f.S(e) + uint64(e.Addend) - f.GOT() }
func valueGOTAP(f *fixer, e *linkgraph.Edge) uint64 { return f.GOT() + uint64(e.Addend) - f.P(e) }

func valueDTPMod(f *fixer, e *linkgraph.Edge) uint64 { return f.TLS(e).Module }

// valueDTPOff: code adds the distance to the start of its own module's block, which it got by another relocation.
func valueDTPOff(f *fixer, e *linkgraph.Edge) uint64 {
	t := f.TLS(e)
	if f.msg == "" && f.g.MemoryOf(f.block) == linkgraph.Code && t.Module != f.l.tlsModule {
		f.msg = "thread-local variable of another module; compile with -fPIC and without -ftls-model=local-dynamic or hidden visibility"
	}
	return t.Offset + uint64(e.Addend)
}
func valueTPOff(f *fixer, e *linkgraph.Edge) uint64 {
	t := f.TLS(e)
	if !t.Static {
		f.msg = "thread-local variable is not in the static TLS block; compile with -fPIC and without -ftls-model=initial-exec or local-exec"
	}
	return uint64(t.TPOffset) + uint64(e.Addend)
}

// The stores.

func storeNone([]byte, uint64) string { return "" }

func store64(p []byte, v uint64) string {
	binary.LittleEndian.PutUint64(p, v)
	return ""
}

func storeSigned32(p []byte, v uint64) string {
	if int64(v) != int64(int32(v)) {
		return outOfRange(v, "32-bit signed")
	}
	binary.LittleEndian.PutUint32(p, uint32(v))
	return ""
}

func storeUnsigned32(p []byte, v uint64) string {
	if v != uint64(uint32(v)) {
		return outOfRange(v, "32-bit unsigned")
	}
	binary.LittleEndian.PutUint32(p, uint32(v))
	return ""
}

// storeAny32 accepts what fits as a signed or as an unsigned number, as AAELF64 and common practice for narrow x86-64 fields have it.
func storeAny32(p []byte, v uint64) string {
	if int64(v) < -1<<31 || int64(v) >= 1<<32 {
		return outOfRange(v, "32-bit")
	}
	binary.LittleEndian.PutUint32(p, uint32(v))
	return ""
}

func storeAny16(p []byte, v uint64) string {
	if int64(v) < -1<<15 || int64(v) >= 1<<16 {
		return outOfRange(v, "16-bit")
	}
	binary.LittleEndian.PutUint16(p, uint16(v))
	return ""
}

func storeAny8(p []byte, v uint64) string {
	if int64(v) < -1<<7 || int64(v) >= 1<<8 {
		return outOfRange(v, "8-bit")
	}
	p[0] = byte(v)
	return ""
}

func storeSigned16(p []byte, v uint64) string {
	if int64(v) != int64(int16(v)) {
		return outOfRange(v, "16-bit signed")
	}
	binary.LittleEndian.PutUint16(p, uint16(v))
	return ""
}

func storeSigned8(p []byte, v uint64) string {
	if int64(v) != int64(int8(v)) {
		return outOfRange(v, "8-bit signed")
	}
	p[0] = byte(v)
	return ""
}

func outOfRange(v uint64, field string) string {
	if int64(v) < 0 {
		return fmt.Sprintf("-%#x is out of the range of a %s field", -v, field)
	}
	return fmt.Sprintf("%#x is out of the range of a %s field", v, field)
}
