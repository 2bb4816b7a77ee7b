package linkgraph

import (
	"bytes"
	"cmp"
	"debug/elf"
	"slices"

	"livejit/internal/ehframe"
	"livejit/internal/elfobj"
)

// cut says how a section is cut into blocks: into elements that are equal or not (a mergeable section; blocks are made
// for those elements only that something refers to), or into the records of .eh_frame (all of them).
type cut struct {
	section SectionID
	data    []byte
	text    string // data again, where elements are looked up by their contents

	entsize uint64
	strings bool
	merged  map[string]BlockID // the elements of all sections that merge with this one

	records []ehframe.Record
	blocks  []BlockID // by record
}

// mergeClass tells which sections share their elements.
type mergeClass struct {
	entsize uint64
	strings bool
	group   GroupID // members of a group may be discarded with it
}

// cutSection returns how section i of the object is to be cut, nil if it is one block.
func (b *builder) cutSection(i int, s *Section) (*cut, error) {
	fs := &b.f.Sections[i]
	id := b.sections[i]
	if s.Memory == ReadOnly && fs.IsEHFrame(b.f.Machine) && len(fs.Data) > 0 {
		return b.cutRecords(i, id)
	}
	mergeable := s.Memory == ReadOnly && fs.Flags&elf.SHF_MERGE != 0 && fs.Flags&elf.SHF_WRITE == 0 &&
		!s.Bounded && !s.Retain && !s.Init && len(fs.Relocs) == 0 && len(fs.Data) > 0 &&
		fs.Entsize > 0 && uint64(len(fs.Data))%fs.Entsize == 0
	if !mergeable {
		return nil, nil
	}
	c := &cut{section: id, data: fs.Data, text: string(fs.Data), entsize: fs.Entsize, strings: fs.Flags&elf.SHF_STRINGS != 0}
	if c.strings && (fs.Entsize > 8 || !allZero(fs.Data[uint64(len(fs.Data))-fs.Entsize:])) {
		return nil, nil // the last string has no end
	}
	class := mergeClass{c.entsize, c.strings, s.Group}
	if b.merged == nil {
		b.merged = map[mergeClass]map[string]BlockID{}
	}
	if b.merged[class] == nil {
		b.merged[class] = make(map[string]BlockID, len(fs.Data)/20)
	}
	c.merged = b.merged[class]
	return c, nil
}

func allZero(p []byte) bool {
	for _, x := range p {
		if x != 0 {
			return false
		}
	}
	return true
}

// cutRecords makes a block of each CIE and FDE.
func (b *builder) cutRecords(i int, id SectionID) (*cut, error) {
	fs := &b.f.Sections[i]
	records, err := ehframe.Split(fs.Data)
	if err != nil {
		return nil, &BuildError{Object: b.f.Name, Section: fs.Name, Msg: "cannot read unwind information", Err: err}
	}
	c := &cut{section: id, data: fs.Data, records: records, blocks: make([]BlockID, len(records))}
	for j := range records {
		r := &records[j]
		if r.DWARF64 {
			return nil, b.fail(i, r.Offset, "unwind record with a 64-bit length, which the run-time's unwinder cannot read")
		}
		c.blocks[j] = b.AddBlock(Block{Data: fs.Data[r.Offset : r.Offset+r.Size : r.Offset+r.Size], Size: r.Size, Align: 4, Section: id})
		b.join(c.blocks[j])
		b.recordCount++
	}
	return c, nil
}

// find returns the block and the offset in it that hold an offset of a cut section. The end of the section belongs to its last block.
func (b *builder) find(c *cut, offset uint64) (BlockID, uint64, bool) {
	if offset > uint64(len(c.data)) {
		return None, 0, false
	}
	if c.merged == nil {
		j, found := slices.BinarySearchFunc(c.records, offset, func(r ehframe.Record, at uint64) int { return cmp.Compare(r.Offset, at) })
		if !found {
			j--
		}
		if j < 0 {
			return None, 0, false
		}
		return c.blocks[j], offset - c.records[j].Offset, true
	}
	at := offset
	if at == uint64(len(c.data)) {
		at -= c.entsize
	}
	at -= at % c.entsize
	end := at + c.entsize
	if c.strings {
		at, end = c.stringAt(at)
	}
	return b.element(c, at, end), offset - at, true
}

// stringAt returns the bounds of the string that holds the unit at offset at.
func (c *cut) stringAt(at uint64) (start, end uint64) {
	if c.entsize == 1 {
		start = uint64(bytes.LastIndexByte(c.data[:at], 0) + 1)
		return start, at + uint64(bytes.IndexByte(c.data[at:], 0)) + 1
	}
	n := c.entsize
	for start = at; start > 0 && !allZero(c.data[start-n:start]); {
		start -= n
	}
	for end = at; !allZero(c.data[end : end+n]); {
		end += n
	}
	return start, end + n
}

// element returns the block of an element, made now if no equal one is there.
func (b *builder) element(c *cut, start, end uint64) BlockID {
	text := c.text[start:end]
	align := b.Sections[c.section].Align
	if start != 0 {
		align = min(align, start&-start)
	}
	if blk, ok := c.merged[text]; ok {
		b.Blocks[blk].Align = max(b.Blocks[blk].Align, align)
		return blk
	}
	blk := b.AddBlock(Block{Data: c.data[start:end:end], Size: end - start, Align: align, Section: c.section, Merged: true})
	c.merged[text] = blk
	b.join(blk)
	return blk
}

// blockSymbol returns an anonymous symbol for the start of a block.
func (b *builder) blockSymbol(blk BlockID) SymbolID {
	for len(b.symbolOf) <= int(blk) {
		b.symbolOf = append(b.symbolOf, None)
	}
	if b.symbolOf[blk] < 0 {
		b.symbolOf[blk] = b.AddSymbol(blk, 0)
		b.Symbols[b.symbolOf[blk]].Group = b.Sections[b.Blocks[blk].Section].Group
	}
	return b.symbolOf[blk]
}

// intoCut turns an edge to the section symbol of a cut section into one to the block that holds the place meant.
func (b *builder) intoCut(i int, from BlockID, e *Edge, target SectionID) error {
	bias := pcBias(b.Machine, b.MemoryOf(from), e.Kind)
	at := int64(b.f.Symbols[e.Target].Value) + e.Addend + bias
	blk, inner, ok := b.find(b.cut(target), uint64(max(at, 0)))
	if at < 0 || !ok {
		return b.fail(i, uint64(e.Offset), "refers to offset %#x of %s, which is outside", at, b.Sections[target].Name)
	}
	e.Target, e.Addend = b.blockSymbol(blk), int64(inner)-bias
	return nil
}

// recordEdges makes the edges of .eh_frame records: the link of each FDE to its CIE, then the relocations.
func (b *builder) recordEdges(i int, c *cut, relocs []elfobj.Reloc) error {
	for j := range c.records {
		r := &c.records[j]
		first := len(b.edges)
		if r.CIE >= 0 {
			b.edges = append(b.edges, Edge{Offset: uint32(r.CIEPointer - r.Offset), Kind: CIEPointer, Target: b.blockSymbol(c.blocks[r.CIE])})
		}
		for len(relocs) > 0 && relocs[0].Offset < r.Offset+r.Size {
			if relocs[0].Offset < r.Offset {
				return b.fail(i, relocs[0].Offset, "relocation outside of every unwind record")
			}
			e, err := b.edge(i, c.blocks[j], &relocs[0], r.Offset)
			if err != nil {
				return err
			}
			b.edges = append(b.edges, e)
			relocs = relocs[1:]
		}
		b.Blocks[c.blocks[j]].Edges = b.edges[first:len(b.edges):len(b.edges)]
	}
	if len(relocs) > 0 {
		return b.fail(i, relocs[0].Offset, "relocation outside of every unwind record")
	}
	return nil
}

// joinFDEs finds the code of each FDE, and makes FDEs and SHF_LINK_ORDER sections live with what they belong to. An FDE whose code is
// not here (its section was discarded by an earlier partial link) describes nothing and stays dead.
func (b *builder) joinFDEs() error {
	for i, id := range b.sections {
		if id < 0 {
			continue
		}
		fs := &b.f.Sections[i]
		if c := b.cut(id); c != nil {
			for j := range c.records {
				if c.records[j].CIE >= 0 {
					b.joinFDE(c, j)
				}
			}
		} else if fs.Flags&elf.SHF_LINK_ORDER != 0 && int(fs.Link) < len(b.sections) && b.Sections[id].Memory != Unloaded {
			if to := b.sections[fs.Link]; to >= 0 && to != id && b.Sections[to].Block >= 0 {
				b.Keep(b.Sections[to].Block, b.Sections[id].Block)
			}
		}
	}
	order := func(x, y FDE) int {
		return cmp.Or(cmp.Compare(x.Code, y.Code), cmp.Compare(x.Begin, y.Begin), cmp.Compare(x.End, y.End), cmp.Compare(x.Block, y.Block))
	}
	if !slices.IsSortedFunc(b.FDEs, order) {
		slices.SortFunc(b.FDEs, order)
	}
	for i := range b.FDEs {
		blk := &b.Blocks[b.FDEs[i].Code]
		if blk.fdes == 0 {
			blk.fde = int32(i)
		}
		blk.fdes++
	}
	return nil
}

func (b *builder) joinFDE(c *cut, j int) {
	r := &c.records[j]
	blk := c.blocks[j]
	edges := b.Blocks[blk].Edges
	at := slices.IndexFunc(edges, func(e Edge) bool { return uint64(e.Offset) == r.PCBegin-r.Offset && e.Kind != 0 })
	if at < 0 {
		return
	}
	s := &b.Symbols[edges[at].Target]
	if s.Def != Defined || b.MemoryOf(s.Block) != Code {
		return
	}
	code := &b.Blocks[s.Block]
	begin := s.Offset + uint64(edges[at].Addend)
	if begin > code.Size || r.PCLength > code.Size-begin {
		return // describes what is not there
	}
	b.FDEs = append(b.FDEs, FDE{Block: blk, Code: s.Block, Begin: begin, End: begin + r.PCLength})
	b.Keep(s.Block, blk)
}

// opcodeBefore returns the two bytes before offset, 0 where there is none.
func opcodeBefore(data []byte, offset uint32) (second, last byte) {
	if uint64(offset) > uint64(len(data)) {
		return 0, 0
	}
	if offset >= 2 {
		second = data[offset-2]
	}
	if offset >= 1 {
		last = data[offset-1]
	}
	return second, last
}
