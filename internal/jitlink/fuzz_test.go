package jitlink

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
)

// seeds returns the objects in testdata.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.o")
	if err != nil || len(names) == 0 {
		t.Fatalf("no seeds in testdata: %v", err)
	}
	var objects [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, data)
	}
	return objects
}

// linkAnything links what may be an object with a resolver that gives every symbol an address: the outcome is a link or an error, never
// a panic; the fake memory panics on a write outside of a span.
func linkAnything(t *testing.T, object []byte, discard bool) {
	file, err := elfobj.Read("fuzz.o", object)
	if err != nil {
		return
	}
	total := uint64(0)
	for i := range file.Sections {
		total += file.Sections[i].Size
	}
	if total > 1<<24 {
		return // a large zero-fill would only be slow
	}
	g, err := linkgraph.Build(file)
	if err != nil {
		return
	}
	if discard {
		for i := range g.Groups {
			g.Discard(linkgraph.GroupID(i))
		}
		for i := range g.Symbols {
			if i%3 == 0 {
				g.Undefine(linkgraph.SymbolID(i))
			}
		}
		g.UndefinedSymbols()
	}
	if err := g.Dump(io.Discard); err != nil {
		t.Fatal(err)
	}
	l, err := link(t, g)
	if err != nil {
		return
	}
	for i := range g.Blocks {
		if g.MemoryOf(linkgraph.BlockID(i)) == linkgraph.Unloaded {
			l.Unloaded(linkgraph.BlockID(i)) // fails or not
		}
	}
	l.InitAddrs()
	l.FiniAddrs()
}

func FuzzLink(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data, false)
		f.Add(data, true)
	}
	f.Fuzz(linkAnything)
}

// TestMutations changes a few bytes of each seed, many times: bytes that matter (headers, symbols, relocations) are most of them.
func TestMutations(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	for _, seed := range seeds(t) {
		r := rand.New(rand.NewPCG(1, uint64(len(seed))))
		for i := range n {
			object := slices.Clone(seed)
			for range 1 + r.IntN(4) {
				at := r.IntN(len(object))
				switch r.IntN(3) {
				case 0:
					object[at] = byte(r.Uint32())
				case 1:
					object[at] ^= 1 << r.IntN(8)
				case 2:
					object[at] += byte(r.IntN(5)) - 2
				}
			}
			linkAnything(t, object, i%2 == 1)
		}
	}
}
