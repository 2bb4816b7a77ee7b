package livejit_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"livejit"
)

// guardedMemory gives every span pages of its own with an unreadable one after it, and
// code in two views of a shared memory.
type guardedMemory struct {
	lo, size uint64
	file     int

	mu   sync.Mutex
	next uint64 // offset; what is freed is not used again
}

const page = 4096

func newGuardedMemory(t testing.TB, size uint64) *guardedMemory {
	t.Helper()
	file, err := unix.MemfdCreate("livejit-test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(file, int64(size)); err != nil {
		t.Fatal(err)
	}
	lo, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	return &guardedMemory{lo: uint64(uintptr(lo)), size: size, file: file}
}

func (m *guardedMemory) Range() (lo, hi uint64) { return m.lo, m.lo + m.size }

func (m *guardedMemory) Allocate(r livejit.MemoryRequest) (livejit.Span, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := (r.Size + page - 1) &^ (page - 1)
	if r.Align > page || m.next+room+page > m.size {
		return livejit.Span{}, errors.New("no room")
	}
	at := m.lo + m.next
	s := livejit.Span{RX: at, RW: at, Size: r.Size, Kind: r.Kind}
	view := func(address uint64, protection, flags int) (uint64, error) {
		p, err := unix.MmapPtr(m.file, int64(m.next), pointer(address), uintptr(room), protection, unix.MAP_SHARED|flags)
		return uint64(uintptr(p)), err
	}
	var err error
	switch r.Kind {
	case livejit.DataMemory, livejit.SlotMemory:
		_, err = view(at, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_FIXED)
	case livejit.ReadOnlyMemory:
		if _, err = view(at, unix.PROT_READ, unix.MAP_FIXED); err == nil {
			s.RW, err = view(0, unix.PROT_READ|unix.PROT_WRITE, 0)
		}
	default:
		if _, err = view(at, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_FIXED); err == nil {
			s.RW, err = view(0, unix.PROT_READ|unix.PROT_WRITE, 0)
		}
	}
	m.next += room + page
	return s, err
}

func (m *guardedMemory) Write(s livejit.Span, off uint64, p []byte) error {
	copy(bytesAt(s.RW+off, len(p)), p)
	return nil
}

func (m *guardedMemory) Free(s livejit.Span) error {
	room := uintptr(s.Size+page-1) &^ (page - 1)
	_, err := unix.MmapPtr(-1, 0, pointer(s.RX), room, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED|unix.MAP_NORESERVE)
	if s.RW != s.RX {
		err = errors.Join(err, unix.MunmapPtr(pointer(s.RW), room))
	}
	return err
}

func (m *guardedMemory) Close() error {
	return errors.Join(unix.MunmapPtr(pointer(m.lo), uintptr(m.size)), unix.Close(m.file))
}

func TestOwnMemory(t *testing.T) {
	before := mappings(t)
	counting := newCountingMemory(t, newGuardedMemory(t, 64<<20))
	e, err := livejit.New(livejit.WithMemoryManager(counting))
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := counting.Range()
	for range 3 {
		m := useAllKinds(t, e)
		for _, f := range m.Functions() {
			if a := uint64(f.Addr()); a < lo || a >= hi {
				t.Errorf("%s lies at %#x, outside of %#x-%#x", f.Name(), a, lo, hi)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add(t, e, "many", manyFunctions(2*chain))
	callAll(t, e, 2*chain)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	counting.check(t)
	if after := mappings(t); after > before+20 {
		t.Errorf("%d mappings, %d before", after, before)
	}
}

// alteredMemory changes the spans it gives.
type alteredMemory struct {
	livejit.MemoryManager
	alter func(livejit.MemoryRequest, livejit.Span) livejit.Span
	given map[uint64]livejit.Span // by altered address: what it is in truth
}

func (m *alteredMemory) Allocate(r livejit.MemoryRequest) (livejit.Span, error) {
	s, err := m.MemoryManager.Allocate(r)
	if err != nil || m.alter == nil {
		return s, err
	}
	altered := m.alter(r, s)
	if altered != s {
		m.given[altered.RX] = s
	}
	return altered, nil
}

func (m *alteredMemory) Free(s livejit.Span) error {
	if original, ok := m.given[s.RX]; ok {
		delete(m.given, s.RX)
		s = original
	}
	return m.MemoryManager.Free(s)
}

func TestBadMemoryIsRejected(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  func(lo, hi uint64, s livejit.Span) livejit.Span
	}{
		{"below the range", func(lo, hi uint64, s livejit.Span) livejit.Span { s.RX = lo - 4096; return s }},
		{"above the range", func(lo, hi uint64, s livejit.Span) livejit.Span { s.RX = hi; return s }},
		{"across the end", func(lo, hi uint64, s livejit.Span) livejit.Span { s.RX = hi - 16; s.Size = 32; return s }},
		{"at the end of addresses", func(lo, hi uint64, s livejit.Span) livejit.Span { s.RX = ^uint64(15); return s }},
		{"not aligned", func(lo, hi uint64, s livejit.Span) livejit.Span { s.RX++; return s }},
		{"too small", func(lo, hi uint64, s livejit.Span) livejit.Span { s.Size--; return s }},
		{"nowhere", func(lo, hi uint64, s livejit.Span) livejit.Span { return livejit.Span{Kind: s.Kind} }},
	} {
		for _, kind := range []livejit.MemoryKind{livejit.CodeMemory, livejit.ReadOnlyMemory, livejit.DataMemory} {
			t.Run(c.name+"/"+kind.String(), func(t *testing.T) {
				inner, err := livejit.NewMemoryManager(64 << 20)
				if err != nil {
					t.Fatal(err)
				}
				altered := &alteredMemory{MemoryManager: inner, given: make(map[uint64]livejit.Span)}
				e := newEngine(t, livejit.WithMemoryManager(altered))
				lo, hi := altered.Range()
				altered.alter = func(r livejit.MemoryRequest, s livejit.Span) livejit.Span {
					if r.Kind == kind {
						return c.bad(lo, hi, s)
					}
					return s
				}
				_, err = e.Add(background, livejit.IR("rooms", allKinds))
				var memory *livejit.MemoryError
				if !errors.As(err, &memory) || memory.Request.Kind != kind || !strings.Contains(err.Error(), "memory manager gave") {
					t.Errorf("Add = %v, want a MemoryError for %s", err, kind)
				}
				altered.alter = nil
				useAllKinds(t, e)
			})
		}
	}
	if _, err := livejit.New(livejit.WithMemoryManager(badRange{})); err == nil {
		t.Error("a memory manager with a range of 4 GiB was accepted")
	}
}

// badRange is a memory manager whose range code cannot reach across.
type badRange struct{ livejit.MemoryManager }

func (badRange) Range() (lo, hi uint64) { return 1 << 32, 2 << 32 }
func (badRange) Close() error           { return nil }
