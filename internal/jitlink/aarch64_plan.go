package jitlink

import (
	"encoding/binary"
	"fmt"

	"livejit/internal/linkgraph"
)

// Planning of AArch64 edges. The GOT is not relaxed: the instructions of a pair may stand apart, and only both together could change.

// branchKey names a veneer: a jump at the end of a block.
type branchKey struct {
	block  linkgraph.BlockID
	target linkgraph.SymbolID
	addend int64
}

// a64BranchReach is how far b and bl reach.
const a64BranchReach = 128 << 20

// a64Address: S + A.
func a64Address(p *planner, e *linkgraph.Edge) { p.body(e, e.Addend) }

// a64Near: an address within the reach of adrp and the like. A function of the process is stood for by its stub, in both instructions
// of a pair alike.
func a64Near(p *planner, e *linkgraph.Edge) {
	if !p.body(e, e.Addend) && p.reach(e.Target) == host {
		e.Kind |= viaStub
	}
}

// a64Distance: a word of data that counts from anywhere.
func a64Distance(p *planner, e *linkgraph.Edge) {
	if !p.body(e, 0) && p.reach(e.Target) == host {
		e.Kind |= viaStub
	}
}

func a64Distance64(p *planner, e *linkgraph.Edge) { p.body(e, 0) }

// a64Branch: functions are called by their stubs. As those may be out of reach, the block gets a veneer for each of its targets,
// unless all JIT memory is within reach; FixUp uses it if it must. What only a GOT entry reaches is always called so.
func a64Branch(p *planner, e *linkgraph.Edge) {
	if p.body(e, e.Addend) {
		return
	}
	long := e.Kind == 282 || e.Kind == 283 // JUMP26, CALL26; the short ones have no veneers
	switch r := p.reach(e.Target); {
	case r == far && long:
		p.a64FarBranch(e)
		return
	case r == ours || r == host:
		e.Kind |= viaStub
	case r == here && p.l.pieceOf[p.g.Symbols[e.Target].Block] == p.piece:
		return
	}
	if long && (p.l.o.Reach == 0 || p.l.o.Reach > a64BranchReach) {
		p.a64Veneer(e)
	}
}

// a64Veneer appends adrp x16, target; add x16, x16, :lo12:target; br x16.
func (p *planner) a64Veneer(e *linkgraph.Edge) {
	key := branchKey{p.block, e.Target, e.Addend}
	if _, ok := p.l.branches[key]; ok {
		return
	}
	if p.l.branches == nil {
		p.l.branches = map[branchKey]uint32{}
	}
	at := p.a64Tail(0x90000010, 0x91000210, 0xd61f0200)
	via := e.Kind & viaMask
	p.extra = append(p.extra, linkgraph.Edge{Offset: at, Kind: a64Adrp | via, Target: e.Target, Addend: e.Addend},
		linkgraph.Edge{Offset: at + 4, Kind: a64Add | via, Target: e.Target, Addend: e.Addend})
	p.l.branches[key] = at
}

// a64FarBranch makes a branch go to adrp x16, GOT; ldr x16, [x16, :lo12:GOT]; br x16 at the end of the block.
func (p *planner) a64FarBranch(e *linkgraph.Edge) {
	if e.Addend != 0 {
		p.fail(e, "branch to the inside of a far function")
		return
	}
	to, ok := p.jumps[e.Target]
	if !ok {
		entry := p.entry(e.Target)
		to = p.a64Tail(0x90000010, 0xf9400210, 0xd61f0200)
		p.extra = append(p.extra, linkgraph.Edge{Offset: to, Kind: a64Adrp, Target: entry},
			linkgraph.Edge{Offset: to + 4, Kind: a64Load64, Target: entry})
		if p.jumps == nil {
			p.jumps = map[linkgraph.SymbolID]uint32{}
		}
		p.jumps[e.Target] = to
	}
	if msg := a64Store26(p.patch()[e.Offset:], uint64(to)-uint64(e.Offset)); msg != "" {
		p.fail(e, msg)
		return
	}
	*e = linkgraph.Edge{Offset: e.Offset}
}

// a64Tail appends a veneer, aligned, and returns its offset in the block.
func (p *planner) a64Tail(words ...uint32) uint32 {
	for p.tailOffset()%4 != 0 {
		p.tail = append(p.tail, 0)
	}
	at := p.tailOffset()
	for _, w := range words {
		p.tail = binary.LittleEndian.AppendUint32(p.tail, w)
	}
	p.l.Stats.Veneers++
	return at
}

// a64Entry makes a reference to a GOT entry one of a plain kind, to the slot of a function of the process if it has one.
func a64Entry(kind linkgraph.Kind) func(p *planner, e *linkgraph.Edge) {
	return func(p *planner, e *linkgraph.Edge) {
		switch {
		case e.Addend != 0:
			p.fail(e, "GOT entry with an addend")
		case p.reach(e.Target) == host:
			e.Kind = kind | viaSlot
		default:
			toEntry(e, kind, p.entry(e.Target))
		}
	}
}

// a64EntryWord: G + A - P in a word of data; the addend counts from the entry.
func a64EntryWord(p *planner, e *linkgraph.Edge) { toEntry(e, a64Prel32, p.entry(e.Target)) }

// a64EntryAtBase: an entry at a small distance from the base of the GOT or its page.
func a64EntryAtBase(p *planner, e *linkgraph.Edge) {
	if e.Addend != 0 {
		p.fail(e, "GOT entry with an addend")
		return
	}
	e.Target = p.entryAtBase(e.Target)
}

// a64FromBase: S + A - GOT.
func a64FromBase(p *planner, e *linkgraph.Edge) {
	p.base()
	p.body(e, e.Addend)
}

// a64TLS makes a reference to an entry of a thread-local variable one of a plain kind.
func a64TLS(entry entryKind, kind linkgraph.Kind) func(p *planner, e *linkgraph.Edge) {
	return func(p *planner, e *linkgraph.Edge) {
		if e.Addend != 0 {
			p.fail(e, "entry of a thread-local variable with an addend")
			return
		}
		id := e.Target
		if entry == entryLD {
			id = 0
		}
		toEntry(e, kind, p.tlsEntry(id, entry))
	}
}

// a64Page is Page(S+A) - Page(P).
func a64Page(f *fixer, e *linkgraph.Edge) uint64 { return pageOf(valueSA(f, e)) - pageOf(f.P(e)) }

// a64FromGOTPage is G - Page(GOT).
func a64FromGOTPage(f *fixer, e *linkgraph.Edge) uint64 { return valueSA(f, e) - pageOf(f.GOT()) }

// a64BranchDistance is S + A - P, or the distance of the block's veneer if that is out of reach.
func a64BranchDistance(f *fixer, e *linkgraph.Edge) uint64 {
	v := valueSAP(f, e)
	if d := int64(v); d >= -a64BranchReach && d < a64BranchReach {
		return v
	}
	if at, ok := f.l.branches[branchKey{f.block, e.Target, e.Addend}]; ok {
		return f.addr + uint64(at) - f.P(e)
	}
	return v
}

// The stores put a value into the immediate fields of an instruction.

func a64Insert(p []byte, mask, bits uint32) {
	binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)&^mask|bits&mask)
}

// a64StoreWords stores the distance v in words of 4 bytes in an n-bit field at bit shift.
func a64StoreWords(p []byte, v uint64, n, shift int) string {
	if v%4 != 0 {
		return fmt.Sprintf("%#x is no multiple of 4", v)
	}
	if d := int64(v); d < -1<<(n+1) || d >= 1<<(n+1) {
		return outOfRange(v, fmt.Sprintf("%d-bit branch", n+2))
	}
	a64Insert(p, (1<<n-1)<<shift, uint32(v>>2)<<shift)
	return ""
}

func a64Store26(p []byte, v uint64) string { return a64StoreWords(p, v, 26, 0) }
func a64Store19(p []byte, v uint64) string { return a64StoreWords(p, v, 19, 5) }
func a64Store14(p []byte, v uint64) string { return a64StoreWords(p, v, 14, 5) }

func a64StoreADR(p []byte, v uint64) string {
	if d := int64(v); d < -1<<20 || d >= 1<<20 {
		return outOfRange(v, "21-bit signed")
	}
	a64Insert(p, 0x60ffffe0, uint32(v&3)<<29|uint32(v>>2&0x7ffff)<<5)
	return ""
}

func a64StoreADRP(p []byte, v uint64) string {
	if d := int64(v); d < -1<<32 || d >= 1<<32 {
		return outOfRange(v, "33-bit page distance")
	}
	return a64StoreADRPNC(p, v)
}

func a64StoreADRPNC(p []byte, v uint64) string {
	return a64StoreADR(p, uint64(int64(v)<<31>>43))
}

// a64StoreLow12 stores the low 12 bits of an address, scaled by the access size 1<<scale.
func a64StoreLow12(scale int) func(p []byte, v uint64) string {
	return func(p []byte, v uint64) string {
		if v&(1<<scale-1) != 0 {
			return fmt.Sprintf("%#x is not aligned to %d bytes", v, 1<<scale)
		}
		a64Insert(p, 0xfff<<10, uint32(v&0xfff)>>scale<<10)
		return ""
	}
}

// a64StoreChecked12 is a64StoreLow12 of values below 4096.
func a64StoreChecked12(scale int) func(p []byte, v uint64) string {
	store := a64StoreLow12(scale)
	return func(p []byte, v uint64) string {
		if v >= 1<<12 {
			return outOfRange(v, "12-bit unsigned")
		}
		return store(p, v)
	}
}

// a64StoreHigh12 stores bits 12 to 23 of an offset below 1<<24.
func a64StoreHigh12(p []byte, v uint64) string {
	if v >= 1<<24 {
		return outOfRange(v, "24-bit unsigned")
	}
	a64Insert(p, 0xfff<<10, uint32(v>>12)<<10)
	return ""
}

// a64StoreLow15 stores an 8-scaled offset below 32 KiB.
func a64StoreLow15(p []byte, v uint64) string {
	if v >= 1<<15 {
		return outOfRange(v, "15-bit unsigned")
	}
	if v%8 != 0 {
		return fmt.Sprintf("%#x is not aligned to 8 bytes", v)
	}
	a64Insert(p, 0xfff<<10, uint32(v>>3)<<10)
	return ""
}

// a64MovNC stores group g of 16 bits, unchecked.
func a64MovNC(g int) func(p []byte, v uint64) string {
	return func(p []byte, v uint64) string {
		a64Insert(p, 0xffff<<5, uint32(v>>(16*g)&0xffff)<<5)
		return ""
	}
}

// a64MovUnsigned stores group g of a value without bits above it.
func a64MovUnsigned(g int) func(p []byte, v uint64) string {
	store := a64MovNC(g)
	return func(p []byte, v uint64) string {
		if v>>(16*g)>>16 != 0 {
			return outOfRange(v, fmt.Sprintf("%d-bit unsigned", 16*(g+1)))
		}
		return store(p, v)
	}
}

// a64MovSigned stores group g of a signed value, and makes the instruction movz or, for negative values, movn.
func a64MovSigned(g int) func(p []byte, v uint64) string {
	store := a64MovNC(g)
	return func(p []byte, v uint64) string {
		limit := int64(1) << (16 * (g + 1))
		if d := int64(v); d < -limit || d >= limit {
			return outOfRange(v, fmt.Sprintf("%d-bit signed", 16*(g+1)+1))
		}
		const movz = 1 << 30
		if int64(v) < 0 {
			a64Insert(p, movz, 0)
			return store(p, ^v)
		}
		a64Insert(p, movz, movz)
		return store(p, v)
	}
}
