package linkgraph

import (
	"debug/elf"
	"encoding/binary"
	"slices"
)

// This file makes the calls of patchpoints indirect, so that they can lead elsewhere without a write to code. LLVM 22 lowers
// llvm.experimental.patchpoint on x86-64 (X86AsmPrinter::LowerPATCHPOINT), if it has a constant target, to
//
//	49 bb imm64          movabs $target, %r11
//	41 ff d3             call *%r11
//
// which becomes
//
//	0f 1f 80 00 00 00 00 nopl 0(%rax)
//	ff 15 rel32          call *cell(%rip)
//
// The call has the same return address, and r11, which it leaves alone, is a scratch register of every patchpoint. The cell is a word of data,
// 8-aligned, that goes with the function.

// PatchpointSize is the number of bytes of a patchpoint's call.
const PatchpointSize = 13

// NoTarget is the target of a patchpoint without one; package llvm has put it there. It is no canonical address.
const NoTarget = 0x6c6a2d6e6f6e6521

// RedirectPatchpoint makes the patchpoint at offset in a block call by way of a cell, and returns a symbol for that. What was the
// patchpoint's target is the cell's contents, nothing in place of NoTarget. false: there are no instructions of that form; the graph is
// as before. It must be called before jitlink.NewLink.
func (g *Graph) RedirectPatchpoint(id BlockID, offset, nothing uint64) (cell SymbolID, ok bool) {
	b := &g.Blocks[id]
	if g.Machine != elf.EM_X86_64 || g.MemoryOf(id) != Code || offset > uint64(len(b.Data)) || uint64(len(b.Data))-offset < PatchpointSize {
		return None, false
	}
	site := b.Data[offset:][:PatchpointSize]
	if site[0] != 0x49 || site[1] != 0xbb || site[10] != 0x41 || site[11] != 0xff || site[12] != 0xd3 {
		return None, false
	}
	at, _ := slices.BinarySearchFunc(b.Edges, uint32(offset), func(e Edge, offset uint32) int { return int(int64(e.Offset) - int64(offset)) })
	inside := 0
	for _, e := range b.Edges[at:] {
		if uint64(e.Offset) >= offset+PatchpointSize {
			break
		}
		inside++
	}
	word := Block{Data: slices.Clone(site[2:10]), Size: 8, Align: 8, Section: g.madeSection(".patchpoints", Data)}
	switch {
	case inside == 1 && uint64(b.Edges[at].Offset) == offset+2 && elf.R_X86_64(b.Edges[at].Kind) == elf.R_X86_64_64:
		word.Edges = []Edge{b.Edges[at]}
		word.Edges[0].Offset = 0
	case inside > 0:
		return None, false
	case binary.LittleEndian.Uint64(word.Data) == NoTarget:
		binary.LittleEndian.PutUint64(word.Data, nothing)
	}
	cell = g.AddSymbol(g.AddBlock(word), 0)
	b = &g.Blocks[id] // AddBlock may have moved it
	call := Edge{Offset: uint32(offset) + 9, Kind: Kind(elf.R_X86_64_PC32), Target: cell, Addend: -4}
	b.Edges = slices.Concat(b.Edges[:at], []Edge{call}, b.Edges[at+inside:])
	b.Data = slices.Clone(b.Data)
	copy(b.Data[offset:], []byte{0x0f, 0x1f, 0x80, 0, 0, 0, 0, 0xff, 0x15, 0, 0, 0, 0})
	return cell, true
}
