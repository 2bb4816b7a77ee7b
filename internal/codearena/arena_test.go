package codearena

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"livejit/internal/vmem"
)

func newArena(t testing.TB, o Options) *Arena {
	t.Helper()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func allocate(t testing.TB, a *Arena, r Request) Span {
	t.Helper()
	s, err := a.Allocate(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func free(t testing.TB, a *Arena, spans ...Span) {
	t.Helper()
	for _, s := range spans {
		if err := a.Free(s); err != nil {
			t.Fatal(err)
		}
	}
}

// checkEmpty checks that nothing is in use and that what was used is whole again.
func checkEmpty(t testing.TB, a *Arena) {
	t.Helper()
	st := a.Stats()
	for k, s := range st.Kinds {
		if s.Spans != 0 || s.InUse != 0 {
			t.Errorf("%v: %d spans with %d bytes are left", Kind(k), s.Spans, s.InUse)
		}
		if s.Free != s.Mapped {
			t.Errorf("%v: %d bytes free of %d", Kind(k), s.Free, s.Mapped)
		}
		if max := uint64(keepDirty) * vmem.PageSize; s.Touched > max {
			t.Errorf("%v: %d bytes are touched", Kind(k), s.Touched)
		}
	}
	for i := range a.pools {
		if err := a.pools[i].check(a); err != nil {
			t.Errorf("pool %d: %v", i, err)
		}
	}
}

// check verifies the invariants of a pool: free blocks are whole, apart, and in the right list.
func (p *pool) check(a *Arena) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := &p.free
	var total uint64
	blocks := 0
	for c, head := range f.heads {
		if (head != 0) != (f.filled[c/64]>>(c%64)&1 != 0) {
			return fmt.Errorf("class %d: mark does not fit", c)
		}
		prev := uint32(0)
		for n := head; n != 0; prev, n = n, f.nodes[n].next {
			b := f.nodes[n]
			if class(b.size) != c || b.prev != prev || f.begins[b.start] != n || f.ends[b.start+b.size] != n {
				return fmt.Errorf("block %+v in class %d", b, c)
			}
			if f.endingAt(b.start) != 0 || f.beginningAt(b.start+b.size) != 0 {
				return fmt.Errorf("block %+v lies beside another", b)
			}
			if !a.only(p, b.start, b.start+b.size) {
				return fmt.Errorf("block %+v covers a live span", b)
			}
			total += uint64(b.size)
			blocks++
		}
	}
	if total != f.total || blocks != len(f.begins) || blocks != len(f.ends) {
		return fmt.Errorf("%d blocks of %d in all, known %d, %d, of %d", blocks, total, len(f.begins), len(f.ends), f.total)
	}
	dirty, touchedPages := 0, 0
	for _, c := range a.chunks {
		if c == nil || c.pool != p {
			continue
		}
		for _, page := range c.pages {
			if page&touched != 0 {
				touchedPages++
				if page&liveMask == 0 {
					dirty++
				}
			} else if page&liveMask != 0 {
				return fmt.Errorf("a page with live granules is not touched")
			}
		}
	}
	if dirty != p.pages.dirty || touchedPages != p.pages.touched {
		return fmt.Errorf("%d dirty of %d touched pages, known %d of %d", dirty, touchedPages, p.pages.dirty, p.pages.touched)
	}
	return nil
}

func TestClasses(t *testing.T) {
	last := -1
	for size := uint32(1); size < 1<<28; size += size/100 + 1 {
		c := class(size)
		if c < last || c >= numClasses || size <= exactClasses && c != int(size)-1 {
			t.Fatalf("class of %d is %d after %d", size, c, last)
		}
		last = c
	}
	if c := class(1 << 28); c >= numClasses {
		t.Errorf("class of the largest block is %d of %d", c, numClasses)
	}
}

func TestPacking(t *testing.T) {
	a := newArena(t, Options{})
	for _, k := range []Kind{Code, ReadOnly, Data} {
		granule := uint64(8)
		if k == Code {
			granule = 16
		}
		var next uint64
		for i, size := range []uint64{1, 16, 17, 100, 8, 0, 4096, 3} {
			s := allocate(t, a, Request{Kind: k, Size: size})
			if i > 0 && s.RX != next {
				t.Errorf("%v: span %d at %#x, want %#x", k, i, s.RX, next)
			}
			if s.Size != size || s.Kind != k {
				t.Errorf("%v: span %+v for %d bytes", k, s, size)
			}
			next = s.RX + max(granule, (size+granule-1)/granule*granule)
		}
	}
}

func TestAlignmentAndViews(t *testing.T) {
	a := newArena(t, Options{})
	lo, hi := a.Range()
	for k := range Kind(NumKinds) {
		for align := uint64(1); align <= MaxAlign; align *= 2 {
			s := allocate(t, a, Request{Kind: k, Size: 24, Align: align})
			if s.RX%align != 0 || s.RX < lo || s.RX+s.Size > hi {
				t.Errorf("%v: span at %#x for alignment %d", k, s.RX, align)
			}
			if sameView := k == Data || k == Slots; (s.RW == s.RX) != sameView {
				t.Errorf("%v: views %#x and %#x", k, s.RX, s.RW)
			}
			want := []byte(fmt.Sprintf("%v aligned to %d......", k, align))[:24]
			if err := a.Write(s, 0, want); err != nil {
				t.Fatal(err)
			}
			if err := a.Write(s, 22, []byte{'z'}); err != nil {
				t.Fatal(err)
			}
			want[22] = 'z'
			if !bytes.Equal(at(s.RX, 24), want) || !bytes.Equal(at(s.RW, 24), want) {
				t.Errorf("%v: %q and %q", k, at(s.RX, 24), at(s.RW, 24))
			}
		}
		if w := a.Stats().Kinds[k]; w.Writes != 44 || w.BytesWritten != 22*25 {
			t.Errorf("%v: %d writes of %d bytes counted", k, w.Writes, w.BytesWritten)
		}
	}
}

// What is freed is wiped, and its room is the next of its size.
func TestReuse(t *testing.T) {
	for _, size := range []uint64{40, 5000, 400 << 10} {
		for _, keep := range []bool{false, true} {
			a := newArena(t, Options{KeepPages: keep})
			for k, want := range map[Kind]byte{Code: 0xcc, ReadOnly: 0, Data: 0} {
				guard1 := allocate(t, a, Request{Kind: k, Size: 8})
				s := allocate(t, a, Request{Kind: k, Size: size})
				guard2 := allocate(t, a, Request{Kind: k, Size: 8})
				for _, g := range []Span{guard1, guard2, s} {
					if err := a.Write(g, 0, bytes.Repeat([]byte{0x5a}, int(g.Size))); err != nil {
						t.Fatal(err)
					}
				}
				free(t, a, s)
				// The whole pages of a large span may have gone back.
				if inside := at(s.RX, 16); inside[0] != want || inside[15] != want {
					t.Errorf("%v of %d: left %x", k, size, inside)
				}
				if keep || size < 1<<18 {
					if bytes.Count(at(s.RX, size), []byte{want}) != int(size) {
						t.Errorf("%v of %d: not filled", k, size)
					}
				}
				if again := allocate(t, a, Request{Kind: k, Size: size}); again != s {
					t.Errorf("%v: got %+v, not the room of %+v", k, again, s)
				}
				if k != Code && slices.Max(at(s.RX, size)) != 0 {
					t.Errorf("%v of %d is not zero", k, size)
				}
				if at(guard1.RX, 8)[7] != 0x5a || at(guard2.RX, 8)[0] != 0x5a {
					t.Errorf("%v of %d: neighbours were wiped", k, size)
				}
				free(t, a, guard2, s, guard1)
			}
			if !keep {
				checkEmpty(t, a)
			}
		}
	}
}

// Replacing a function over and over keeps to the same pages, and no queue grows.
func TestReplaceCycle(t *testing.T) {
	a := newArena(t, Options{})
	old := allocate(t, a, Request{Kind: Code, Size: 300})
	var touched uint64
	for i := range 10000 {
		s := allocate(t, a, Request{Kind: Code, Size: 300})
		free(t, a, old)
		old = s
		if i == 10 {
			touched = a.Stats().Kinds[Code].Touched
		}
	}
	if got := a.Stats().Kinds[Code].Touched; got != touched {
		t.Errorf("%d bytes touched, %d at first", got, touched)
	}
	if n := len(a.pools[codePool].pages.queue); n > 2 {
		t.Errorf("%d pages are queued", n)
	}
	free(t, a, old)
	checkEmpty(t, a)
}

func TestManyPagesGoBack(t *testing.T) {
	a := newArena(t, Options{})
	var spans []Span
	for range 5000 {
		s := allocate(t, a, Request{Kind: Code, Size: 1000})
		if err := a.Write(s, 0, bytes.Repeat([]byte{0x90}, 1000)); err != nil {
			t.Fatal(err)
		}
		spans = append(spans, s)
	}
	before := a.Stats().Kinds[Code].Touched
	if before < 5000000 {
		t.Errorf("%d bytes touched", before)
	}
	rand.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	free(t, a, spans...)
	checkEmpty(t, a)
	if s := a.Stats().Kinds[Code]; s.LargestFree != s.Mapped {
		t.Errorf("largest free block %d of %d", s.LargestFree, s.Mapped)
	}
}

// One request may take most of the arena, whatever its kind.
func TestLarge(t *testing.T) {
	for _, k := range []Kind{Code, ReadOnly, Data} {
		a := newArena(t, Options{})
		small := []Span{allocate(t, a, Request{Kind: Code, Size: 100}), allocate(t, a, Request{Kind: ReadOnly, Size: 100}),
			allocate(t, a, Request{Kind: Data, Size: 100})}
		big := allocate(t, a, Request{Kind: k, Size: 700 << 20, Align: 1 << 16})
		if err := a.Write(big, big.Size-4, []byte("tail")); err != nil {
			t.Fatal(err)
		}
		if got := at(big.RX+big.Size-4, 4); string(got) != "tail" {
			t.Errorf("%v: tail is %q", k, got)
		}
		second := allocate(t, a, Request{Kind: k, Size: 40 << 20})
		free(t, a, big, second)
		free(t, a, small...)
		checkEmpty(t, a)
	}
}

// Each kind may fill what is free of the arena, and what overflows is an error that names all parties.
func TestExhausted(t *testing.T) {
	for _, k := range []Kind{Code, ReadOnly, Data} {
		a := newArena(t, Options{Size: 8 << 20})
		other := allocate(t, a, Request{Kind: (k + 1) % 3, Size: 1})
		var spans []Span
		var err error
		for err == nil {
			var s Span
			if s, err = a.Allocate(Request{Kind: k, Size: 4000, Module: "m.o", Function: "f", Section: ".text.f"}); err == nil {
				spans = append(spans, s)
			}
		}
		var e *ExhaustedError
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if e.Kind != k || e.Requested != 4000 || e.Limit != 8<<20 || e.InUse < 6<<20 || e.Module != "m.o" || e.Function != "f" || e.Largest >= 4000 {
			t.Errorf("%+v", e)
		}
		if want := "section .text.f of function f of module m.o"; !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
		// What is left over is still served.
		spans = append(spans, allocate(t, a, Request{Kind: k, Size: e.Largest}))
		if st := a.Stats().Kinds[k]; st.Mapped < 7<<20 {
			t.Errorf("%v: %d of 8 MiB were had", k, st.Mapped)
		}
		free(t, a, other)
		free(t, a, spans...)
		checkEmpty(t, a)
	}
	a := newArena(t, Options{Size: 8 << 20})
	for _, size := range []uint64{8<<20 + 1, 1 << 31, 1 << 63, ^uint64(0)} {
		var e *ExhaustedError
		if _, err := a.Allocate(Request{Kind: Data, Size: size}); !errors.As(err, &e) || e.Requested != size {
			t.Errorf("size %#x: %v", size, err)
		}
	}
	whole := allocate(t, a, Request{Kind: ReadOnly, Size: 8 << 20})
	if _, err := a.Allocate(Request{Kind: Code, Size: 1}); err == nil {
		t.Error("no error though the arena is full")
	}
	free(t, a, whole)
	checkEmpty(t, a)
}

// A failed search of the first few blocks is not the last word.
func TestFindsBlockDeepInList(t *testing.T) {
	a := newArena(t, Options{Size: 1 << 20})
	var keep, give []Span
	for {
		s, err := a.Allocate(Request{Kind: Code, Size: 2064}) // with what follows, all of one class
		if err != nil {
			break
		}
		give = append(give, s)
		if s, err = a.Allocate(Request{Kind: Code, Size: 16}); err != nil {
			break
		}
		keep = append(keep, s)
	}
	aligned := 0
	for _, s := range give {
		if (s.RX+255)&^255+2048 <= s.RX+s.Size {
			aligned++
		}
	}
	free(t, a, give...)
	for i := range aligned {
		allocate(t, a, Request{Kind: Code, Size: 2048, Align: 256})
		if err := a.pools[codePool].check(a); err != nil {
			t.Fatal(i, err)
		}
	}
	free(t, a, keep...)
}

func TestFalseFrees(t *testing.T) {
	a := newArena(t, Options{})
	x := allocate(t, a, Request{Kind: Data, Size: 100})
	y := allocate(t, a, Request{Kind: Data, Size: 100})
	z := allocate(t, a, Request{Kind: Data, Size: 100})
	free(t, a, y)
	edit := func(s Span, f func(*Span)) Span { f(&s); return s }
	for name, s := range map[string]Span{
		"twice":        y,
		"inside":       edit(x, func(s *Span) { s.RX += 8; s.Size -= 8 }),
		"unaligned":    edit(x, func(s *Span) { s.RX++ }),
		"short":        edit(x, func(s *Span) { s.Size = 50 }),
		"into free":    edit(x, func(s *Span) { s.Size = 150 }),
		"with free":    edit(x, func(s *Span) { s.Size = 208 }),
		"over another": edit(x, func(s *Span) { s.Size = 312 }),
		"over all":     edit(z, func(s *Span) { s.Size = a.hi - s.RX }),
		"wrong pool":   edit(x, func(s *Span) { s.Kind = Code }),
		"no kind":      edit(x, func(s *Span) { s.Kind = 9 }),
		"never used":   edit(x, func(s *Span) { s.RX = a.lo + 64<<20 }),
		"before":       edit(x, func(s *Span) { s.RX = a.lo - 16 }),
		"behind":       edit(x, func(s *Span) { s.RX = a.hi }),
		"too long":     edit(x, func(s *Span) { s.Size = ^uint64(0) }),
		"none":         {},
	} {
		var e *SpanError
		if err := a.Free(s); !errors.As(err, &e) || e.Op != "free" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]func() error{
		"beyond":      func() error { return a.Write(x, 99, []byte{1, 2}) },
		"far":         func() error { return a.Write(x, ^uint64(0), []byte{1}) },
		"other arena": func() error { return a.Write(Span{RX: a.hi, Size: 8}, 0, []byte{1}) },
	} {
		var e *SpanError
		if err := f(); !errors.As(err, &e) || e.Op != "write" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range []Request{{Kind: 5, Size: 1}, {Size: 1, Align: 3}, {Size: 1, Align: 4 << 20}} {
		var e *RequestError
		if _, err := a.Allocate(r); !errors.As(err, &e) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	free(t, a, x, z)
	checkEmpty(t, a)
}

func TestClosed(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := allocate(t, a, Request{Kind: Code, Size: 8})
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = a.Allocate(Request{Kind: Code, Size: 8})
	for name, err := range map[string]error{"allocate": err, "write": a.Write(s, 0, []byte{1}), "free": a.Free(s)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st := a.Stats(); st.Reserved != 0 || st.Kinds[Code].Spans != 0 {
		t.Errorf("%+v", st)
	}
	for _, o := range []Options{{Size: vmem.MaxSize + 1}, {Size: ^uint64(0)}} {
		var e *vmem.Error
		if _, err := New(o); !errors.As(err, &e) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Where there is one view, code and read-only spans share no page.
func TestProtectMode(t *testing.T) {
	a := newArena(t, Options{Mode: vmem.Protect})
	pages := map[uint64]bool{}
	var spans []Span
	for i := range 100 {
		for _, k := range []Kind{Code, ReadOnly, Stubs} {
			s := allocate(t, a, Request{Kind: k, Size: uint64(1 + i*97)})
			if err := a.Write(s, s.Size-1, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			for p := s.RX / vmem.PageSize; p <= (s.RX+s.Size-1)/vmem.PageSize; p++ {
				if pages[p] {
					t.Fatalf("page %#x is shared", p*vmem.PageSize)
				}
				pages[p] = true
			}
			if s.RW != s.RX || at(s.RX+s.Size-1, 1)[0] != byte(i) {
				t.Errorf("span %+v", s)
			}
			spans = append(spans, s)
		}
	}
	free(t, a, spans...)
	checkEmpty(t, a)
}

func TestLifetimesLeaveNothing(t *testing.T) {
	count := func() (maps, files int) {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		dir, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n")), len(dir)
	}
	cycle := func() {
		a, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		for k := range Kind(NumKinds) {
			s := allocate(t, a, Request{Kind: k, Size: 100})
			if err := a.Write(s, 0, []byte{1, 2, 3}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	maps, files := count()
	for range 1000 {
		cycle()
	}
	if m, f := count(); m > maps+10 || f != files {
		t.Errorf("%d mappings and %d files, before %d and %d", m, f, maps, files)
	}
}

// A small program costs little: resident memory of a hundred arenas with one span of each kind.
func TestSmallFootprint(t *testing.T) {
	resident := func() int {
		runtime.GC()
		text, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Fatal(err)
		}
		var total, pages int
		if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
			t.Fatal(err)
		}
		return pages * os.Getpagesize()
	}
	const arenas, limit = 100, 200 << 10
	before := resident()
	for range arenas {
		a := newArena(t, Options{})
		for k := range Kind(NumKinds) {
			s := allocate(t, a, Request{Kind: k, Size: 100})
			if err := a.Write(s, 0, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := (resident() - before) / arenas; got > limit {
		t.Errorf("an arena costs %d bytes of resident memory, more than %d", got, limit)
	} else {
		t.Logf("an arena costs %d bytes of resident memory", got)
	}
}

// At most six mappings, and no more for 20,000 functions with their data.
func TestMappings(t *testing.T) {
	a := newArena(t, Options{})
	for i := range 20000 {
		for _, k := range []Kind{Code, ReadOnly, Data} {
			s := allocate(t, a, Request{Kind: k, Size: uint64(100 + i%1000)})
			if i%10 == 0 {
				if err := a.Write(s, 0, []byte{1}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := a.Range()
	n := 0
	for line := range strings.Lines(string(text)) {
		var from, to uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err == nil && from < hi && to > lo {
			n++
		}
	}
	if n > 5 { // and one for the writable view
		t.Errorf("%d mappings in the range:\n%s", n, text)
	}
}

// Goroutines allocate, write, check and free at random; a map from granules to
// owners would notice any overlap, and the content any stray write.
func TestHammer(t *testing.T) {
	a := newArena(t, Options{Size: 64 << 20})
	owners := make([]sync.Map, numPools)
	const rounds, alive = 3000, 60
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			h := hammer{t: t, a: a, owners: owners, id: byte(g + 1)}
			for range rounds {
				if len(h.spans) < alive && r.IntN(3) > 0 {
					size := uint64(r.IntN(400))
					if r.IntN(50) == 0 {
						size = uint64(r.IntN(600 << 10))
					}
					h.allocate(Request{Kind: Kind(r.IntN(NumKinds)), Size: size, Align: 1 << r.IntN(17)})
				} else if len(h.spans) > 0 {
					h.free(r.IntN(len(h.spans)))
				}
			}
			for len(h.spans) > 0 {
				h.free(0)
			}
		})
	}
	wg.Wait()
	checkEmpty(t, a)
}

type hammer struct {
	t      testing.TB
	a      *Arena
	owners []sync.Map // of each pool: granule → id
	id     byte
	spans  []Span
}

// content is what a span of this owner is filled with.
func (h *hammer) content(s Span) byte { return h.id*31 + byte(s.RX>>4) | 1 }

func (h *hammer) granules(s Span, f func(m *sync.Map, granule uint64)) {
	pool := poolOf[s.Kind]
	shift := h.a.pools[pool].shift
	for g := s.RX >> shift; g <= (s.RX+max(s.Size, 1)-1)>>shift; g++ {
		f(&h.owners[pool], g)
		if s.Size > 1000 {
			g += 13 // a sample of a large one
		}
	}
}

func (h *hammer) allocate(r Request) {
	s, err := h.a.Allocate(r)
	if err != nil {
		h.t.Error(err)
		return
	}
	if s.RX%r.Align != 0 {
		h.t.Errorf("span %+v for alignment %d", s, r.Align)
	}
	h.granules(s, func(m *sync.Map, g uint64) {
		if who, taken := m.LoadOrStore(g, h.id); taken {
			h.t.Errorf("%+v of %d belongs to %v", s, h.id, who)
		}
	})
	if poolOf[s.Kind] != codePool && s.Size > 0 && slices.Max(at(s.RX, s.Size)) != 0 {
		h.t.Errorf("%+v is not zero", s)
	}
	if err := h.a.Write(s, 0, bytes.Repeat([]byte{h.content(s)}, int(s.Size))); err != nil {
		h.t.Error(err)
	}
	h.spans = append(h.spans, s)
}

func (h *hammer) free(i int) {
	s := h.spans[i]
	h.spans[i] = h.spans[len(h.spans)-1]
	h.spans = h.spans[:len(h.spans)-1]
	if s.Size > 0 {
		if b := at(s.RX, s.Size); bytes.Count(b, []byte{h.content(s)}) != len(b) {
			h.t.Errorf("%+v of %d was written by another", s, h.id)
		}
	}
	h.granules(s, func(m *sync.Map, g uint64) { m.Delete(g) })
	if err := h.a.Free(s); err != nil {
		h.t.Error(err)
	}
}
