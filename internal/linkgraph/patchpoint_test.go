package linkgraph

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
)

// TestRedirectPatchpoint rewrites what has the form, and nothing else.
func TestRedirectPatchpoint(t *testing.T) {
	const nothing = 0x1122334455667788
	g := build(t, `
.section .text.f,"ax",@progbits
.globl f
.type f,@function
f:	call before
	movabsq $target+8, %r11
	callq *%r11
	movabsq $0x1234, %r11
	callq *%r11
	movabsq $0x6c6a2d6e6f6e6521, %r11
	callq *%r11
	call after
	movabsq $target, %r10
	callq *%r10
	.byte 0x49, 0xbb, 0, 0, 0, 0
	.long target
	.byte 0x41, 0xff, 0xd3
	movabsq $1, %r11
	.byte 0x41, 0xff
	.size f, .-f
`)
	f := symbol(t, g, "f")
	original := bytes.Clone(g.Blocks[f.Block].Data)
	edges := len(g.Blocks[f.Block].Edges)
	for _, offset := range []uint64{0, 4, 6, 44 + 5, 44 + 5 + 13, uint64(len(original)) - 12, uint64(len(original)), 1 << 63} {
		if _, ok := g.RedirectPatchpoint(f.Block, offset, nothing); ok {
			t.Errorf("offset %#x is no patchpoint", offset)
		}
	}
	if b := &g.Blocks[f.Block]; !bytes.Equal(b.Data, original) || len(b.Edges) != edges {
		t.Fatal("a block was changed that has no patchpoint there")
	}
	for i, c := range []struct {
		offset, contents uint64
	}{{5, 0}, {18, 0x1234}, {31, nothing}} {
		cell, ok := g.RedirectPatchpoint(f.Block, c.offset, nothing)
		if !ok {
			t.Fatalf("the patchpoint at %#x was not found", c.offset)
		}
		word := &g.Blocks[g.Symbols[cell].Block]
		if got := binary.LittleEndian.Uint64(word.Data); got != c.contents || word.Align != 8 || word.Size != 8 || g.MemoryOf(g.Symbols[cell].Block) != Data {
			t.Errorf("cell %+v holds %#x, want %#x", word, got, c.contents)
		}
		if i == 0 {
			if e := word.Edges; len(e) != 1 || e[0].Offset != 0 || g.SymbolName(e[0].Target) != "target" || e[0].Addend != 8 || e[0].Kind != Kind(elf.R_X86_64_64) {
				t.Errorf("edges of the cell: %+v", e)
			}
		} else if len(word.Edges) != 0 {
			t.Errorf("edges of the cell: %+v", word.Edges)
		}
		b := &g.Blocks[f.Block]
		if got := b.Data[c.offset:][:13]; !bytes.Equal(got, []byte("\x0f\x1f\x80\x00\x00\x00\x00\xff\x15\x00\x00\x00\x00")) {
			t.Errorf("code % x", got)
		}
		at, last := 0, uint32(0)
		for _, e := range b.Edges {
			if e.Offset < last {
				t.Errorf("edges are not sorted: %+v", b.Edges)
			}
			last = e.Offset
			if uint64(e.Offset) >= c.offset && uint64(e.Offset) < c.offset+13 {
				at++
				if uint64(e.Offset) != c.offset+9 || e.Target != cell || e.Addend != -4 || e.Kind != Kind(elf.R_X86_64_PC32) {
					t.Errorf("edge of the call: %+v", e)
				}
			}
		}
		if at != 1 {
			t.Errorf("%d edges in the site", at)
		}
		if _, again := g.RedirectPatchpoint(f.Block, c.offset, nothing); again {
			t.Error("a site was redirected twice")
		}
	}
	if got := len(g.Blocks[f.Block].Edges); got != edges+2 {
		t.Errorf("%d edges, want %d", got, edges+2)
	}
}
