package stubtable

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"

	"livejit/internal/codearena"
)

// missEntry stands for the common miss entry; nothing here executes.
const missEntry = 0x123456789abc

func newTable(t testing.TB) (*Table, *codearena.Arena) {
	t.Helper()
	a, err := codearena.New(codearena.Options{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := New(a, missEntry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		for k, s := range a.Stats().Kinds {
			if s.Spans != 0 {
				t.Errorf("%d spans of %v are left", s.Spans, codearena.Kind(k))
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return table, a
}

func alloc(t testing.TB, table *Table) Stub {
	t.Helper()
	s, err := table.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEncodings(t *testing.T) {
	for _, c := range []struct {
		arch, name string
		stub       Stub
		cell       uint64
		want       string
	}{
		{"amd64", "slot after", Stub{Addr: 0x10000000, Slot: 0x10001000}, 0x10001800, "ff25fa0f0000ccccff15f21700000f0b"},
		{"amd64", "slot before", Stub{Addr: 0x10001000, Slot: 0x10000000}, 0x10000800, "ff25faefffffccccff15f2f7ffff0f0b"},
		{"amd64", "farthest", Stub{Addr: 0x10000000, Slot: 0x10000000 + 6 + 0x7fffffff}, 0x10000000 + 14 + 0x7fffffff, "ff25ffffff7fccccff15ffffff7f0f0b"},
		{"amd64", "farthest before", Stub{Addr: 0x7fff80000000, Slot: 0x7fff80000000 + 6 - 0x80000000}, 0x7fff80000000 + 14 - 0x80000000, "ff2500000080ccccff15000000800f0b"},
		{"arm64", "same page", Stub{Addr: 0x10000010, Slot: 0x10000ff8}, 0, "1000009010fe47f900021fd6400d20d4"},
		{"arm64", "slot after", Stub{Addr: 0x10000ff0, Slot: 0x30001008}, 0, "100010b0100640f900021fd6400d20d4"},
		{"arm64", "slot before", Stub{Addr: 0x30001000, Slot: 0x10000000}, 0, "f0ffeff0100240f900021fd6400d20d4"},
		{"arm64", "farthest", Stub{Addr: 0x200000000, Slot: 0x2fffff000}, 0, "f0ff7ff0100240f900021fd6400d20d4"},
	} {
		t.Run(c.arch+"/"+c.name, func(t *testing.T) {
			b := make([]byte, StubSize)
			if err := encodings[c.arch].stub(b, c.stub, c.cell); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(b); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for _, c := range []struct {
		arch  string
		stub  Stub
		cell  uint64
		limit int64
		what  string
	}{
		{"amd64", Stub{Addr: 0x10000000, Slot: 0x10000000 + 6 + 0x80000000}, 0x10000000, 1 << 31, "slot"},
		{"amd64", Stub{Addr: 0x7fff80000000, Slot: 0x7fff80000000 + 5 - 0x80000000}, 0x7fff80000000, 1 << 31, "slot"},
		{"amd64", Stub{Addr: 0x10000000, Slot: 0x10000000}, 0x10000000 + 14 + 0x80000000, 1 << 31, "miss cell"},
		{"amd64", Stub{Addr: 0x7fff80000000, Slot: 0x7fff80000000}, 0x7fff80000000 + 13 - 0x80000000, 1 << 31, "miss cell"},
		{"arm64", Stub{Addr: 0x200000000, Slot: 0x300000000}, 0, 1 << 32, "slot"},
	} {
		var e *DistanceError
		err := encodings[c.arch].stub(make([]byte, StubSize), c.stub, c.cell)
		if !errors.As(err, &e) || e.Limit != c.limit || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%s %+v: %v", c.arch, c.stub, err)
		}
	}
	var e *MachineError
	if _, err := newFor(nil, missEntry, "mips"); !errors.As(err, &e) || !strings.Contains(err.Error(), "mips") {
		t.Error(err)
	}
}

// A disassembler reads the stubs as they are meant, at random places.
func TestDecoded(t *testing.T) {
	for range 1000 {
		s := Stub{Addr: rand.Uint64N(1<<30) &^ 15, Slot: rand.Uint64N(1<<30) &^ 7}
		b := make([]byte, StubSize)
		cell := rand.Uint64N(1<<30) &^ 7
		if err := stubX86_64(b, s, cell); err != nil {
			t.Fatal(err)
		}
		miss := encodings["amd64"].miss
		for _, want := range []struct {
			at, end uint64
			op      x86asm.Op
			target  uint64
		}{{0, 6, x86asm.JMP, s.Slot}, {miss, 14, x86asm.CALL, cell}} {
			in, err := x86asm.Decode(b[want.at:], 64)
			if err != nil || in.Op != want.op || want.at+uint64(in.Len) != want.end {
				t.Fatal(in, err)
			}
			if m := in.Args[0].(x86asm.Mem); m.Base != x86asm.RIP || s.Addr+want.end+uint64(int32(m.Disp)) != want.target {
				t.Errorf("%+v: %v", s, in)
			}
		}
		if last, err := x86asm.Decode(b[14:], 64); err != nil || last.Op != x86asm.UD2 {
			t.Errorf("%+v: last %v, %v", s, last, err)
		}

		if err := stubAArch64(b, s, cell); err != nil {
			t.Fatal(err)
		}
		var text []string
		for i := 0; i < StubSize; i += 4 {
			in, err := arm64asm.Decode(b[i:])
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, in.String())
		}
		adrp, err := arm64asm.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		page := s.Addr&^0xfff + uint64(adrp.Args[1].(arm64asm.PCRel))
		want := []string{adrp.String(), fmt.Sprintf("LDR X16, [X16,#%d]", s.Slot&0xfff), "BR X16", "BRK #0x6a"}
		if want[1] == "LDR X16, [X16,#0]" {
			want[1] = "LDR X16, [X16]"
		}
		if page != s.Slot&^0xfff || adrp.Op != arm64asm.ADRP || fmt.Sprint(text) != fmt.Sprint(want) {
			t.Errorf("%+v: %q, want %q", s, text, want)
		}
	}
}

func TestLife(t *testing.T) {
	table, a := newTable(t)
	if st := a.Stats().Kinds[codearena.Stubs]; st.Spans != 0 {
		t.Errorf("%d spans for no stub", st.Spans)
	}
	s := alloc(t, table)
	if s.Addr%StubSize != 0 || s.Slot%SlotSize != 0 || table.Target(s) != table.Miss(s) || table.Miss(s)&^15 != s.Addr {
		t.Errorf("%+v leads to %#x", s, table.Target(s))
	}
	table.Redirect(s, 0x1234)
	if got := table.Target(s); got != 0x1234 {
		t.Errorf("target %#x", got)
	}
	for _, pc := range []uint64{s.Addr, table.Miss(s), s.Addr + 14, s.Addr + 15} {
		if got, ok := table.At(pc); !ok || got != s {
			t.Errorf("at %#x: %+v %v", pc, got, ok)
		}
	}
	for _, pc := range []uint64{s.Addr - 1, s.Addr + 16, 0, ^uint64(0)} {
		if got, ok := table.At(pc); ok {
			t.Errorf("at %#x: %+v", pc, got)
		}
	}
	writes := a.Stats().Kinds[codearena.Stubs].Writes
	table.Free(s)
	if got := table.Target(s); got != table.Miss(s) {
		t.Errorf("a freed stub leads to %#x", got)
	}
	if got := a.Stats().Kinds[codearena.Stubs].Writes; got != 1 || writes != 1 {
		t.Errorf("%d writes of stub code, then %d", writes, got)
	}
	for name, bad := range map[string]Stub{"twice": s, "none": {}, "other slot": {Addr: s.Addr + 16, Slot: s.Slot}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); !strings.HasPrefix(fmt.Sprint(r), "BUG: stubtable: ") {
					t.Errorf("panic %v", r)
				}
			}()
			table.Free(bad)
		})
	}
}

// The miss of every stub calls what its page's cell holds, also after the stub was freed.
func TestMissCell(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("a miss is a fault on this machine")
	}
	table, _ := newTable(t)
	slots, cells := map[uint64]bool{}, map[uint64]int{}
	check := func(s Stub) {
		code := loadAcquire(table.Miss(s))
		if code&0xffff != 0x15ff || code>>48 != 0x0b0f {
			t.Fatalf("%+v: code %#x", s, code)
		}
		cell := s.Addr + 14 + uint64(int64(int32(code>>16)))
		if got := loadAcquire(cell); got != missEntry {
			t.Errorf("%+v: cell %#x holds %#x", s, cell, got)
		}
		cells[cell]++
	}
	for range 2 * pageStubs {
		s := alloc(t, table)
		slots[s.Slot] = true
		check(s)
		table.Redirect(s, ^uint64(0))
	}
	if len(cells) != 2 {
		t.Errorf("%d cells for two pages", len(cells))
	}
	for cell, n := range cells {
		if slots[cell] || n != pageStubs {
			t.Errorf("cell %#x of %d stubs, a slot: %v", cell, n, slots[cell])
		}
	}
	s := alloc(t, table)
	table.Redirect(s, 1)
	table.Free(s)
	if table.Target(s) != table.Miss(s) {
		t.Errorf("a freed stub leads to %#x", table.Target(s))
	}
	check(s)
}

// Stubs come back in the order in which they were freed, last of all.
func TestLateReuse(t *testing.T) {
	table, _ := newTable(t)
	keep := alloc(t, table)
	x, y := alloc(t, table), alloc(t, table)
	table.Free(y)
	table.Free(x)
	for range pageStubs - 3 {
		if s := alloc(t, table); s == x || s == y {
			t.Fatalf("%+v is reused before others were used", s)
		}
	}
	if got := alloc(t, table); got != y {
		t.Errorf("got %+v, want %+v", got, y)
	}
	if got := alloc(t, table); got != x {
		t.Errorf("got %+v, want %+v", got, x)
	}
	if st := table.Stats(); st != (Stats{Live: pageStubs, Pages: 1}) {
		t.Errorf("%+v", st)
	}
	table.Free(keep)
}

// Empty pages go back in batches, one stays, and their stubs are forgotten.
func TestPagesGoBack(t *testing.T) {
	table, a := newTable(t)
	for range 3 {
		var all []Stub
		seen := map[Stub]bool{}
		for range 40 * pageStubs {
			s := alloc(t, table)
			if seen[s] {
				t.Fatalf("%+v handed out twice", s)
			}
			seen[s] = true
			all = append(all, s)
		}
		if st := table.Stats(); st.Pages != 40 || st.Live != len(all) || st.Free != 0 {
			t.Errorf("%+v", st)
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, s := range all {
			table.Free(s)
		}
		if st := table.Stats(); st != (Stats{Free: pageStubs, Pages: 1}) {
			t.Errorf("%+v", st)
		}
		if st := a.Stats().Kinds; st[codearena.Stubs].Spans != 1 || st[codearena.Slots].InUse != slotsSize {
			t.Errorf("%+v", st)
		}
	}
}

// broken is a Memory that fails.
type broken struct {
	*codearena.Arena
	refuse codearena.Kind // Allocate refuses this kind
	writes bool           // Write fails
	frees  bool           // Free fails
	far    bool           // slots are too far
}

var errBroken = errors.New("broken")

func (b *broken) Allocate(r codearena.Request) (codearena.Span, error) {
	if r.Kind == b.refuse {
		return codearena.Span{}, errBroken
	}
	s, err := b.Arena.Allocate(r)
	if b.far && r.Kind == codearena.Slots {
		s.RX += 8 << 30
	}
	return s, err
}

func (b *broken) Write(s codearena.Span, off uint64, p []byte) error {
	if b.writes {
		return errBroken
	}
	return b.Arena.Write(s, off, p)
}

func (b *broken) Free(s codearena.Span) error {
	if b.far && s.Kind == codearena.Slots {
		s.RX -= 8 << 30
	}
	if err := b.Arena.Free(s); err != nil {
		return err
	}
	if b.frees {
		return errBroken
	}
	return nil
}

func TestMemoryFails(t *testing.T) {
	for name, b := range map[string]*broken{
		"stubs":  {refuse: codearena.Stubs},
		"slots":  {refuse: codearena.Slots},
		"write":  {writes: true},
		"far":    {far: true},
		"closed": {},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := codearena.New(codearena.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			b.Arena = a
			table, err := New(b, missEntry)
			if err != nil {
				t.Fatal(err)
			}
			if name == "closed" {
				if err := table.Close(); err != nil {
					t.Error(err)
				}
			}
			_, err = table.Alloc()
			var distance *DistanceError
			if !errors.Is(err, errBroken) && !errors.As(err, &distance) && !errors.Is(err, ErrClosed) {
				t.Errorf("error %v", err)
			}
			for k, s := range a.Stats().Kinds {
				if s.Spans != 0 {
					t.Errorf("%d spans of %v are left", s.Spans, codearena.Kind(k))
				}
			}
		})
	}
	a, err := codearena.New(codearena.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	table, err := New(&broken{Arena: a, frees: true}, missEntry)
	if err != nil {
		t.Fatal(err)
	}
	alloc(t, table)
	if err := table.Close(); !errors.Is(err, errBroken) {
		t.Errorf("close: %v", err)
	}
}

func TestHammer(t *testing.T) {
	table, _ := newTable(t)
	var owners sync.Map
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 2))
			var mine []Stub
			for n := range uint64(20000) {
				if len(mine) < 400 && r.IntN(5) > 1 {
					s, err := table.Alloc()
					if err != nil {
						t.Error(err)
						return
					}
					if who, taken := owners.LoadOrStore(s, g); taken {
						t.Errorf("%+v of %d belongs to %v", s, g, who)
					}
					if table.Target(s) != table.Miss(s) {
						t.Errorf("%+v leads to %#x", s, table.Target(s))
					}
					table.Redirect(s, g<<32|n)
					mine = append(mine, s)
				} else if len(mine) > 0 {
					i := r.IntN(len(mine))
					s := mine[i]
					mine[i] = mine[len(mine)-1]
					mine = mine[:len(mine)-1]
					if got := table.Target(s) >> 32; got != g {
						t.Errorf("%+v of %d was redirected by %d", s, g, got)
					}
					if got, ok := table.At(s.Addr + 3); !ok || got != s {
						t.Errorf("%+v: at %+v %v", s, got, ok)
					}
					owners.Delete(s)
					table.Free(s)
				}
			}
			for _, s := range mine {
				owners.Delete(s)
				table.Free(s)
			}
		})
	}
	wg.Wait()
	if st := table.Stats(); st.Live != 0 || st.Pages != 1 {
		t.Errorf("%+v", st)
	}
}

func BenchmarkAllocFree(b *testing.B) {
	table, _ := newTable(b)
	for b.Loop() {
		table.Free(alloc(b, table))
	}
}

func BenchmarkRedirect(b *testing.B) {
	table, _ := newTable(b)
	s := alloc(b, table)
	for b.Loop() {
		table.Redirect(s, s.Addr)
	}
}

// BenchmarkGrow makes 100,000 stubs.
func BenchmarkGrow(b *testing.B) {
	for b.Loop() {
		table, a := newTable(b)
		for range 100000 {
			alloc(b, table)
		}
		if err := errors.Join(table.Close(), a.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
