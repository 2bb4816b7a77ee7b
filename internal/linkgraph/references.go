package linkgraph

import "debug/elf"

// This file tells what an edge means before it is linked: whether it calls or takes an address, and which place it
// means. Assemblers replace a local symbol in a relocation by its section symbol and an offset. A static function is
// then referred to by place only; but like every function it is to be reached by its stub. So such references get the
// function's symbol back, where the place meant is known and is the very start of the function.

// rAArch64PLT32 is R_AARCH64_PLT32 (AAELF64 5.7.5), which debug/elf does not name.
const rAArch64PLT32 elf.R_AARCH64 = 314

// IsCall reports whether an edge of code is the operand of a call or jump; data are its block's contents.
func (g *Graph) IsCall(data []byte, e *Edge) bool { return isCall(g.Machine, data, e) }

func isCall(m elf.Machine, data []byte, e *Edge) bool {
	if m == elf.EM_AARCH64 {
		switch elf.R_AARCH64(e.Kind) {
		case elf.R_AARCH64_CALL26, elf.R_AARCH64_JUMP26, elf.R_AARCH64_CONDBR19, elf.R_AARCH64_TSTBR14:
			return true
		}
		return false
	}
	switch elf.R_X86_64(e.Kind) {
	case elf.R_X86_64_PLT32:
		return true
	case elf.R_X86_64_PC32:
		second, last := opcodeBefore(data, e.Offset)
		return last == 0xe8 || last == 0xe9 || second == 0x0f && last&0xf0 == 0x80
	case elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX:
		second, last := opcodeBefore(data, e.Offset)
		return second == 0xff && (last == 0x15 || last == 0x25)
	}
	return false
}

// pcBias returns what to add to an addend to get the place meant relative to the symbol: a PC-relative field of an x86-64
// instruction counts from the end of the instruction, which for branches and lea is 4 bytes on.
func pcBias(m elf.Machine, from Memory, k Kind) int64 {
	if m != elf.EM_X86_64 || from != Code {
		return 0
	}
	switch elf.R_X86_64(k) {
	case elf.R_X86_64_PC32, elf.R_X86_64_PLT32, elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX, elf.R_X86_64_REX_GOTPCRELX:
		return 4
	}
	return 0
}

// functionPlace returns the offset from its symbol that an edge to code means, ok false if it may mean something else than a
// function: a PC-relative word in data is a function's address only if it counts from the word itself, so its addend is the
// offset; jump tables count from the table, and then an addend that equals the offset of some function in a larger section
// is an accident. Offset 0 is none: no jump table leads to the start of the section.
func functionPlace(m elf.Machine, from Memory, e *Edge) (offset int64, ok bool) {
	at := e.Addend + pcBias(m, from, e.Kind)
	if m == elf.EM_AARCH64 {
		switch elf.R_AARCH64(e.Kind) {
		case elf.R_AARCH64_PREL32, elf.R_AARCH64_PREL64, rAArch64PLT32:
			return at, from == Code || at == 0
		}
		return at, true
	}
	switch elf.R_X86_64(e.Kind) {
	case elf.R_X86_64_64, elf.R_X86_64_32, elf.R_X86_64_32S, elf.R_X86_64_GOTOFF64, elf.R_X86_64_PLTOFF64:
		return at, true
	case elf.R_X86_64_PC32, elf.R_X86_64_PLT32, elf.R_X86_64_PC64:
		return at, from == Code || at == 0
	}
	return 0, false
}

// nameBlocks chooses the root symbol of each block that is a function or datum: the strongest name, the first of those.
func (b *builder) nameBlocks() error {
	for i := range b.Symbols {
		s := &b.Symbols[i]
		if s.Block < 0 {
			continue
		}
		blk := &b.Blocks[s.Block]
		section := &b.Sections[blk.Section]
		if section.Memory == Unloaded || !s.names() {
			continue
		}
		blk.names++
		if section.Bounded || section.Init || hasPart(section.Name, ".gcc_except_table") {
			continue
		}
		if blk.Root < 0 || b.stronger(SymbolID(i), blk.Root) {
			blk.Root = SymbolID(i)
		}
	}
	return nil
}

// names reports whether a defined symbol names a function or datum: an untyped local label is a place inside of one.
func (s *Symbol) names() bool {
	return !s.Anonymous && !s.Part && (s.Scope == Global || s.Type != NoType)
}

// stronger reports whether x is the better name for a block than y: global before weak before local before a mark at the end, then the
// lower place.
func (g *Graph) stronger(x, y SymbolID) bool {
	rank := func(s *Symbol) int {
		switch {
		case s.Offset > 0 && s.Offset >= g.Blocks[s.Block].Size:
			return 3
		case s.Scope == Local:
			return 2
		case s.Weak:
			return 1
		}
		return 0
	}
	sx, sy := &g.Symbols[x], &g.Symbols[y]
	if rx, ry := rank(sx), rank(sy); rx != ry {
		return rx < ry
	}
	return sx.Offset < sy.Offset
}

// nameFunctions gives the edges that mean a function by its place the function's symbol.
func (b *builder) nameFunctions() error {
	b.starts = make([]SymbolID, len(b.Blocks))
	for i := range b.starts {
		b.starts[i] = None
	}
	for i := range b.Symbols {
		id := SymbolID(i)
		if !b.IsFunction(id) {
			continue
		}
		s := &b.Symbols[i]
		old := b.functionAt(s.Block, s.Offset)
		if old >= 0 && !b.nearer(id, old) {
			continue
		}
		if s.Offset == 0 {
			b.starts[s.Block] = id
			continue
		}
		if b.inner == nil {
			b.inner = map[place]SymbolID{}
		}
		b.inner[place{s.Block, s.Offset}] = id
	}
	for i := range b.Blocks {
		blk := &b.Blocks[i]
		section := &b.Sections[blk.Section]
		if section.Direct {
			continue
		}
		for j := range blk.Edges {
			e := &blk.Edges[j]
			s := &b.Symbols[e.Target]
			if !s.Anonymous || s.Def != Defined || s.Block == BlockID(i) || b.MemoryOf(s.Block) != Code {
				continue
			}
			at, ok := functionPlace(b.Machine, section.Memory, e)
			if !ok || int64(s.Offset)+at < 0 {
				continue
			}
			if f := b.functionAt(s.Block, s.Offset+uint64(at)); f >= 0 {
				e.Addend += int64(s.Offset) - int64(b.Symbols[f].Offset)
				e.Target = f
			}
		}
	}
	return nil
}

func (b *builder) functionAt(blk BlockID, offset uint64) SymbolID {
	if offset == 0 {
		return b.starts[blk]
	}
	if f, ok := b.inner[place{blk, offset}]; ok {
		return f
	}
	return None
}

// nearer reports whether x is more likely than y what a reference by place meant: local symbols are what assemblers replace.
func (b *builder) nearer(x, y SymbolID) bool {
	sx, sy := &b.Symbols[x], &b.Symbols[y]
	if (sx.Scope == Local) != (sy.Scope == Local) {
		return sx.Scope == Local
	}
	return !sx.Weak && sy.Weak
}

// markUses computes Used, Called and AddressTaken of every symbol from the edges of the blocks that are still there. A use of a
// place by an anonymous symbol counts for the block's root too.
func (g *Graph) markUses() {
	for i := range g.Symbols {
		s := &g.Symbols[i]
		s.Used, s.Called, s.AddressTaken, s.Narrow = false, false, false, false
	}
	for i := range g.Blocks {
		blk := &g.Blocks[i]
		section := &g.Sections[blk.Section]
		if blk.Discarded || section.Memory == Unloaded {
			continue
		}
		for j := range blk.Edges {
			e := &blk.Edges[j]
			s := &g.Symbols[e.Target]
			call := section.Memory == Code && isCall(g.Machine, blk.Data, e)
			g.use(s, call, !call && !section.Direct)
			s.Narrow = s.Narrow || g.isNarrow(e.Kind)
			if s.Anonymous && s.Block >= 0 && g.Blocks[s.Block].Root >= 0 && s.Block != BlockID(i) {
				g.use(&g.Symbols[g.Blocks[s.Block].Root], call, !call && !section.Direct)
			}
		}
	}
	for _, list := range [][]Init{g.Inits, g.Finis} {
		for i := range list {
			g.use(&g.Symbols[list[i].Target], true, false)
		}
	}
	g.stale = false
}

// isNarrow reports whether a kind is an absolute address in 32 bits.
func (g *Graph) isNarrow(k Kind) bool {
	return g.Machine == elf.EM_X86_64 && (k == Kind(elf.R_X86_64_32) || k == Kind(elf.R_X86_64_32S))
}

func (g *Graph) use(s *Symbol, call, address bool) {
	s.Used = true
	s.Called = s.Called || call
	s.AddressTaken = s.AddressTaken || address
}
