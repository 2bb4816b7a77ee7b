package unwind_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"livejit/internal/unwind"
	"livejit/internal/unwind/internal/unwindtest"
)

func TestFind(t *testing.T) {
	w := newWorkshop(t)
	f := w.add(7, make([]byte, 100), part{begin: 0, end: 100})
	g := w.add(8, make([]byte, 33), part{begin: 0, end: 10}, part{begin: 10, end: 20}, part{begin: 24, end: 33})
	bare := w.add(9, make([]byte, 16))
	big := w.add(10, make([]byte, 300000), part{begin: 0, end: 300000})
	last := w.add(11, make([]byte, 1))
	for _, c := range []struct {
		name  string
		pc    uint64
		block placed
		id    uint32
		part  int // -1: none covers it
		begin uint64
		found bool
	}{
		{name: "first byte", pc: f.start, block: f, id: 7, part: 0, found: true},
		{name: "last byte", pc: f.start + 99, block: f, id: 7, part: 0, found: true},
		{name: "padding behind", pc: f.start + 100},
		{name: "own header", pc: f.start - 1},
		{name: "next header", pc: g.start - 16},
		{name: "first of parts", pc: g.start + 9, block: g, id: 8, part: 0, found: true},
		{name: "second of parts", pc: g.start + 10, block: g, id: 8, part: 1, begin: 10, found: true},
		{name: "between parts", pc: g.start + 20, block: g, id: 8, part: -1, found: true},
		{name: "last of parts", pc: g.start + 32, block: g, id: 8, part: 2, begin: 24, found: true},
		{name: "no FDE", pc: bare.start + 5, block: bare, id: 9, part: -1, found: true},
		{name: "far from its start", pc: big.start + 299999, block: big, id: 10, part: 0, found: true},
		{name: "in the middle", pc: big.start + 100003, block: big, id: 10, part: 0, found: true},
		{name: "one byte", pc: last.start, block: last, id: 11, part: -1, found: true},
		{name: "behind all", pc: last.start + 1},
		{name: "far behind all", pc: last.start + 500<<20},
		{name: "null"},
		{name: "highest", pc: ^uint64(0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := unwind.Code{}
			if c.found {
				want = unwind.Code{Start: c.block.start, Size: c.block.size, ID: c.id, Func: c.block.start + c.begin}
				if c.part >= 0 {
					want.FDE = c.block.fdes[c.part]
				}
			}
			if got, ok := unwind.Find(c.pc); ok != c.found || got != want {
				t.Errorf("got %+v %v, want %+v %v", got, ok, want, c.found)
			}
			if got, ok := w.r.Find(c.pc); ok != c.found || got != want {
				t.Errorf("region: got %+v %v, want %+v %v", got, ok, want, c.found)
			}
			if fde, fn := unwindtest.FindFDE(c.pc); fde != want.FDE || fde != 0 && fn != want.Func {
				t.Errorf("_Unwind_Find_FDE: got %#x %#x, want %#x %#x", fde, fn, want.FDE, want.Func)
			}
		})
	}
	if n := w.r.Len(); n != 5 {
		t.Errorf("%d blocks are known", n)
	}
	w.r.Remove(g.start, last.start)
	for _, p := range []placed{g, last} {
		if c, ok := unwind.Find(p.start); ok {
			t.Errorf("%+v is still known", c)
		}
	}
	if _, ok := unwind.Find(big.start + 299999); !ok {
		t.Error("a neighbour went too")
	}
	if n := w.r.Len(); n != 3 {
		t.Errorf("%d blocks are known", n)
	}
}

// The table may be nonsense when the address asked for is: it is never read outside the region.
func TestBrokenHeader(t *testing.T) {
	w := newWorkshop(t)
	for _, header := range []struct{ eh, neh uint32 }{{0x7fffffff, 1}, {0x80000000, 1}, {64, 0xffffffff}, {0xcccccccc, 0xcccccccc}} {
		p := w.place(1, make([]byte, 64))
		b := []byte{64, 0, 0, 0, 1, 0, 0, 0}
		for _, v := range []uint32{header.eh, header.neh} {
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
		if err := w.a.Write(p.code, 0, b); err != nil {
			t.Fatal(err)
		}
		w.r.Add(p.start)
		if c, ok := unwind.Find(p.start); !ok || c.FDE != 0 {
			t.Errorf("%x: %+v %v", header, c, ok)
		}
	}
}

// Random starts against a sorted list, with additions and removals: all levels of the bitmap.
func TestFindAtRandom(t *testing.T) {
	w := newWorkshop(t)
	r := rand.New(rand.NewPCG(3, 4))
	var known []placed
	for i := range 3000 {
		if len(known) > 0 && r.IntN(3) == 0 {
			j := r.IntN(len(known))
			w.r.Remove(known[j].start)
			if _, ok := unwind.Find(known[j].start); ok {
				t.Fatalf("%#x is known after its removal", known[j].start)
			}
			w.free(known[j])
			known[j] = known[len(known)-1]
			known = known[:len(known)-1]
			continue
		}
		size := 1 + r.IntN(200)
		if r.IntN(40) == 0 {
			size = 1 + r.IntN(200000)
		}
		known = append(known, w.add(uint32(i), make([]byte, size)))
		for range 5 {
			p := known[r.IntN(len(known))]
			pc := p.start + r.Uint64N(p.size)
			if c, ok := unwind.Find(pc); !ok || c.Start != p.start || c.Size != p.size {
				t.Fatalf("%#x: %+v %v, want %+v", pc, c, ok, p)
			}
		}
	}
	if n := w.r.Len(); n != len(known) {
		t.Errorf("%d blocks are known, want %d", n, len(known))
	}
}

func TestMisuse(t *testing.T) {
	w := newWorkshop(t)
	lo, hi := w.a.Range()
	f := w.add(1, make([]byte, 100))
	other := w.place(2, make([]byte, 100))
	for name, f := range map[string]func(){
		"added twice":        func() { w.r.Add(other.start, f.start) },
		"twice in a call":    func() { w.r.Add(other.start, other.start) },
		"unaligned":          func() { w.r.Add(other.start, other.start+8) },
		"before":             func() { w.r.Add(other.start, lo-16) },
		"no room for header": func() { w.r.Add(other.start, lo) },
		"behind":             func() { w.r.Add(other.start, hi) },
		"not added":          func() { w.r.Remove(f.start, other.start) },
		"removed twice":      func() { w.r.Remove(f.start, f.start) },
		"empty region":       func() { _, _ = unwind.NewRegion(lo, lo) },
		"unaligned region":   func() { _, _ = unwind.NewRegion(lo, lo+8) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); !strings.HasPrefix(fmt.Sprint(r), "BUG: unwind: ") {
					t.Errorf("panic %v", r)
				}
			}()
			f()
		})
	}
	// None of it changed anything.
	if _, ok := unwind.Find(f.start); !ok || w.r.Len() != 1 {
		t.Errorf("%v, %d known", ok, w.r.Len())
	}
	if c, ok := unwind.Find(other.start); ok {
		t.Errorf("%+v is known", c)
	}
	w.r.Add()
	w.r.Remove()
}

// Regions are limited, must not overlap, and leave nothing.
func TestRegions(t *testing.T) {
	const base, size = 0x5000_0000_0000, 1 << 20
	count := func() int {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n"))
	}
	before := count()
	var open []*unwind.Region
	for i := range uint64(unwind.MaxRegions) {
		r, err := unwind.NewRegion(base+i*size, base+(i+1)*size)
		if err != nil {
			t.Fatal(i, err)
		}
		open = append(open, r)
	}
	var e *unwind.RegionError
	if _, err := unwind.NewRegion(base-size, base); !errors.As(err, &e) || !strings.Contains(err.Error(), "4096") {
		t.Errorf("error %v", err)
	}
	// A region in the last place is found, one in the middle makes room.
	if c, ok := unwind.Find(base + unwind.MaxRegions*size - 1); ok {
		t.Errorf("%+v", c)
	}
	if err := open[2000].Close(); err != nil {
		t.Error(err)
	}
	for name, at := range map[string]uint64{"equal": base, "begins inside": base + 16, "ends inside": base - 16} {
		if _, err := unwind.NewRegion(at, at+size); !errors.As(err, &e) || !strings.Contains(err.Error(), "overlaps") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var err error
	if open[2000], err = unwind.NewRegion(base-size, base); err != nil {
		t.Error(err)
	}
	for _, r := range open {
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if got := count(); got > before+10 {
		t.Errorf("%d mappings, %d before", got, before)
	}
}

func TestNoMemoryForBitmap(t *testing.T) {
	// A range whose bitmap no address space can hold.
	_, err := unwind.NewRegion(0x10000, 1<<63)
	var e *unwind.RegionError
	if !errors.As(err, &e) || e.Err == nil || e.Hi != 1<<63 {
		t.Errorf("error %v", err)
	}
}

// The library's own answers for the rest of the process are not disturbed.
func TestHostCodeIsHandedOn(t *testing.T) {
	newWorkshop(t)
	host := unwindtest.HostFunction()
	fde, fn := unwindtest.FindFDE(host + 1)
	if fde == 0 || fn != host {
		t.Errorf("host function %#x: FDE %#x of %#x", host, fde, fn)
	}
	if c, ok := unwind.Find(host); ok {
		t.Errorf("%+v", c)
	}
}
