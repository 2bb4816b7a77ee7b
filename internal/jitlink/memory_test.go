package jitlink

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
)

// fakeMemory is an Allocator over address ranges without memory behind them: one range for each kind of memory.
type fakeMemory struct {
	next  [3]uint64
	spans map[uint64][]byte // by address, while allocated
	order []uint64          // of the addresses, when asked for
	fail  int               // fails the n-th Allocate from now on, 0: none
}

func newMemory() *fakeMemory {
	return &fakeMemory{next: [3]uint64{0x1000_0000, 0x1800_0000, 0x1c00_0000}, spans: map[uint64][]byte{}}
}

func (m *fakeMemory) Allocate(r Request) (Span, error) {
	if m.fail > 0 {
		if m.fail--; m.fail == 0 {
			return Span{}, fmt.Errorf("no more memory")
		}
	}
	if r.Size == 0 || r.Align == 0 || r.Align&(r.Align-1) != 0 {
		panic(fmt.Sprintf("bad request %+v", r))
	}
	addr := alignUp(m.next[r.Memory], max(r.Align, 16))
	m.next[r.Memory] = addr + r.Size
	if r.Size < 1<<28 {
		m.spans[addr] = make([]byte, r.Size)
	} else {
		m.spans[addr] = nil
	}
	return Span{Addr: addr, Size: r.Size, Ref: addr, Memory: r.Memory}, nil
}

func (m *fakeMemory) Write(s Span, off uint64, p []byte) error {
	mem, ok := m.spans[s.Addr]
	if !ok || off > s.Size || uint64(len(p)) > s.Size-off {
		panic(fmt.Sprintf("write of %d bytes at %#x outside of span %+v", len(p), off, s))
	}
	copy(mem[off:], p)
	return nil
}

func (m *fakeMemory) Free(s Span) error {
	if _, ok := m.spans[s.Addr]; !ok {
		return fmt.Errorf("free of %#x, which is not allocated", s.Addr)
	}
	delete(m.spans, s.Addr)
	return nil
}

// at returns n bytes at an address.
func (m *fakeMemory) at(t testing.TB, addr, n uint64) []byte {
	t.Helper()
	if base, mem := m.span(addr); mem != nil && addr+n <= base+uint64(len(mem)) {
		return mem[addr-base:][:n]
	}
	t.Fatalf("%#x+%d is not in memory", addr, n)
	return nil
}

// span finds the span that holds an address.
func (m *fakeMemory) span(addr uint64) (base uint64, mem []byte) {
	if len(m.order) != len(m.spans) {
		m.order = slices.Sorted(maps.Keys(m.spans))
	}
	i, found := slices.BinarySearch(m.order, addr)
	if !found {
		i--
	}
	if i < 0 || addr >= m.order[i]+uint64(len(m.spans[m.order[i]])) {
		return 0, nil
	}
	return m.order[i], m.spans[m.order[i]]
}

// image is everything that was written, for comparing links.
func (m *fakeMemory) image() []byte {
	var b bytes.Buffer
	for _, a := range slices.Sorted(maps.Keys(m.spans)) {
		fmt.Fprintf(&b, "%x:%x\n", a, m.spans[a])
	}
	return b.Bytes()
}

// Addresses that the resolver of the tests gives out.
const (
	stubBase = 0x1e00_0000     // 16 bytes for each symbol
	slotBase = 0x1f00_0000     // 8 bytes
	hostBase = 0x7f00_0000_000 // 4096 bytes
	dataBase = 0x1d00_0000     // data of other graphs, 64 bytes
)

// resolver stands for the engine: it decides by name what an undefined symbol is. host_* are functions of the process, far_* its data,
// near_* data of other graphs, fn_* functions of other graphs; weak undefined symbols stay so.
type resolver struct{ g *linkgraph.Graph }

func (r *resolver) class(name string) byte {
	if i := bytes.IndexByte([]byte(name), '_'); i > 0 {
		switch name[:i] {
		case "host":
			return 'h'
		case "far":
			return 'd'
		case "near":
			return 'n'
		case "fn":
			return 'f'
		}
	}
	return 'h'
}

func (r *resolver) far(id linkgraph.SymbolID) bool {
	s := &r.g.Symbols[id]
	return s.Weak || r.class(s.Name) == 'h' || r.class(s.Name) == 'd'
}

// mark sets StubTarget before Plan.
func (r *resolver) mark() {
	for i := range r.g.Symbols {
		s := &r.g.Symbols[i]
		id := linkgraph.SymbolID(i)
		if s.Def == linkgraph.Undefined && !s.Weak && s.Name != "" {
			s.StubTarget = s.Type != linkgraph.TLSObject && (r.class(s.Name) == 'h' || r.class(s.Name) == 'f')
		} else if r.g.IsFunction(id) {
			s.StubTarget = true
		}
	}
}

// fill sets Target after Allocate.
func (r *resolver) fill() {
	for i := range r.g.Symbols {
		s := &r.g.Symbols[i]
		n := uint64(i)
		if s.StubTarget {
			s.Target = linkgraph.Target{Addr: stubBase + 16*n, Stub: stubBase + 16*n, Slot: slotBase + 8*n}
		}
		if s.Def != linkgraph.Undefined || s.Weak || s.Name == "" {
			continue
		}
		switch r.class(s.Name) {
		case 'h':
			s.Target.Addr, s.Target.SlotIsAddr = hostBase+4096*n, true
		case 'd':
			s.Target.Addr = hostBase + 4096*n
		case 'n':
			s.Target.Addr = dataBase + 64*n
		}
		s.Target.Size = 24
		s.Target.TLS = linkgraph.TLSTarget{Module: 7, Offset: 0x40 + n, TPOffset: -int64(0x100 + n), Static: r.class(s.Name) == 'd'}
	}
}

// assemble runs clang on a source and returns the object.
func assemble(t testing.TB, source, ext string, args ...string) []byte {
	t.Helper()
	return compile(t, "clang-22", source, ext, args...)
}

// compile runs a compiler on a source and returns the object.
func compile(t testing.TB, compiler, source, ext string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(compiler)
	if err != nil {
		t.Skipf("%s is not installed", compiler)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"+ext), filepath.Join(dir, "out.o")
	if err := os.WriteFile(in, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "-c", "-o", out, in)...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func build(t testing.TB, object []byte) *linkgraph.Graph {
	t.Helper()
	f, err := elfobj.Read("test.o", object)
	if err != nil {
		t.Fatal(err)
	}
	g, err := linkgraph.Build(f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// linked is a finished link.
type linked struct {
	*Link
	m *fakeMemory
}

const descResolver = 0x5555_0000

// link runs all passes, with the resolver of this file.
func link(t testing.TB, g *linkgraph.Graph) (*linked, error) {
	t.Helper()
	l, err := NewLink(g)
	if err != nil {
		return nil, err
	}
	m := newMemory()
	r := &resolver{g}
	r.mark()
	if err := l.Plan(Options{Far: r.far, TLSDescResolver: descResolver}); err != nil {
		return nil, err
	}
	if err := l.Allocate(m); err != nil {
		return nil, err
	}
	r.fill()
	for i := range l.Pieces {
		l.Pieces[i].ID = uint32(1000 + i)
	}
	l.SetTLSModule(3, 0)
	if err := l.FixUp(); err != nil {
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		if len(m.spans) != 0 {
			t.Fatalf("%d spans are left", len(m.spans))
		}
		return nil, err
	}
	if err := l.Write(); err != nil {
		return nil, err
	}
	return &linked{l, m}, nil
}

func mustLink(t testing.TB, object []byte) *linked {
	t.Helper()
	l, err := link(t, build(t, object))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// symbol finds a symbol by name.
func (l *linked) symbol(t testing.TB, name string) linkgraph.SymbolID {
	t.Helper()
	for i := range l.Graph.Symbols {
		if l.Graph.Symbols[i].Name == name {
			return linkgraph.SymbolID(i)
		}
	}
	t.Fatalf("no symbol %s", name)
	return linkgraph.None
}

// piece finds a piece by the name of its root.
func (l *linked) piece(t testing.TB, name string) *Piece {
	t.Helper()
	for i := range l.Pieces {
		if l.Pieces[i].Name == name {
			return &l.Pieces[i]
		}
	}
	t.Fatalf("no piece %s", name)
	return nil
}
