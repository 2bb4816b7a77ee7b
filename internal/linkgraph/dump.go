package linkgraph

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"strings"
)

// Dump writes the graph as text: the same graph gives the same text. Anonymous blocks without use are left out.
func (g *Graph) Dump(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "graph %s %v\n", g.Name, g.Machine)
	for i := range g.Groups {
		gr := &g.Groups[i]
		fmt.Fprintf(out, "group %d %s%s%s\n", i, gr.Signature, when(gr.COMDAT, " comdat"), when(gr.Discarded, " discarded"))
	}
	symbols := g.symbolsByBlock()
	for i := range g.Blocks {
		g.dumpBlock(out, BlockID(i), symbols[i])
	}
	for i := range g.Symbols {
		s := &g.Symbols[i]
		if i > 0 && s.Block < 0 && s.Name != "" && !s.Anonymous {
			fmt.Fprintf(out, "symbol %s\n", g.describe(s))
		}
	}
	for _, l := range [...]struct {
		name string
		list []Init
	}{{"init", g.Inits}, {"fini", g.Finis}} {
		for _, in := range l.list {
			fmt.Fprintf(out, "%s %s%s priority %d\n", l.name, g.SymbolName(in.Target), addend(in.Addend), in.Priority)
		}
	}
	return out.Flush()
}

func (g *Graph) symbolsByBlock() [][]SymbolID {
	by := make([][]SymbolID, len(g.Blocks))
	for i := range g.Symbols {
		if s := &g.Symbols[i]; s.Block >= 0 && s.Name != "" {
			by[s.Block] = append(by[s.Block], SymbolID(i))
		}
	}
	return by
}

func (g *Graph) dumpBlock(out io.Writer, id BlockID, symbols []SymbolID) {
	b := &g.Blocks[id]
	s := &g.Sections[b.Section]
	if b.Size == 0 && len(symbols) == 0 {
		return
	}
	fmt.Fprintf(out, "block %d %s %s size %d align %d%s%s%s%s%s", id, s.Name, s.Memory, b.Size, b.Align,
		when(b.Data == nil, " zero"), when(b.Merged, " merged"), when(s.Retain, " retained"), when(s.Bounded, " bounded"), when(b.Discarded, " discarded"))
	if s.Group >= 0 {
		fmt.Fprintf(out, " group %d", s.Group)
	}
	if b.Root >= 0 {
		fmt.Fprintf(out, " root %s", g.Symbols[b.Root].Name)
	}
	if b.Owner >= 0 && b.Owner != id {
		fmt.Fprintf(out, " owner %s", g.BlockName(b.Owner))
	}
	fmt.Fprintln(out)
	if b.Merged {
		fmt.Fprintf(out, "\tdata %q\n", b.Data)
	}
	for _, sym := range symbols {
		fmt.Fprintf(out, "\tsymbol +%#x %s\n", g.Symbols[sym].Offset, g.describe(&g.Symbols[sym]))
	}
	for _, f := range g.FDEsOf(id) {
		fmt.Fprintf(out, "\tfde %#x-%#x block %d\n", f.Begin, f.End, f.Block)
	}
	for i := range b.Edges {
		e := &b.Edges[i]
		t := &g.Symbols[e.Target]
		to := g.SymbolName(e.Target)
		if t.Name == "" && t.Block >= 0 {
			to = fmt.Sprintf("block %d (%s)", t.Block, to)
		}
		fmt.Fprintf(out, "\t+%#x %s %s%s\n", e.Offset, KindName(g.Machine, e.Kind), to, addend(e.Addend))
	}
}

func (g *Graph) describe(s *Symbol) string {
	words := []string{s.Name, s.Def.String(), s.Type.String()}
	if s.Scope == Global {
		words = append(words, "global")
	}
	for _, f := range [...]struct {
		set  bool
		name string
	}{{s.Weak, "weak"}, {s.Hidden, "hidden"}, {s.Part, "part"}, {s.Used, "used"}, {s.Called, "called"}, {s.AddressTaken, "address-taken"}, {s.StubTarget, "stub"}} {
		if f.set {
			words = append(words, f.name)
		}
	}
	if s.Def == Absolute {
		words = append(words, fmt.Sprintf("%#x", s.Offset))
	}
	if s.Size != 0 {
		words = append(words, fmt.Sprintf("size %d", s.Size))
	}
	return strings.Join(words, " ")
}

func when(set bool, text string) string {
	if set {
		return text
	}
	return ""
}

func addend(a int64) string {
	switch {
	case a < 0:
		return fmt.Sprintf("-%#x", uint64(-a))
	case a > 0:
		return fmt.Sprintf("+%#x", a)
	}
	return ""
}

// KindName returns the psABI's name of a relocation type, or the linker's of a made kind.
func KindName(m elf.Machine, k Kind) string {
	switch {
	case k == CIEPointer:
		return "CIE-pointer"
	case k >= Made:
		return fmt.Sprintf("made-%d", k-Made)
	case m == elf.EM_AARCH64:
		return elf.R_AARCH64(k).String()
	}
	return elf.R_X86_64(k).String()
}
