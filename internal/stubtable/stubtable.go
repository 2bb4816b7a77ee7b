// Package stubtable hands out stubs: 16 bytes of code each that jump through a
// pointer slot. A stub's address is a function's address for as long as the
// function exists; replacing the function is one 8-byte store to the slot.
//
// Stubs live in pages of 256, each with a page of slots beside the program's data.
// Which slot a stub reads is fixed when the page is made, so that a page of code is
// written once and never again.
//
// # Misses
//
// A stub whose function has no machine code at the moment, because it has not been compiled
// yet, was invalidated or deleted, leads to its miss: the second half of its own code. The
// slot of such a stub holds the address of that place.
//
// On x86-64 that is `call *cell(%rip)` at offset 8. The cell is one pointer for each page,
// behind the page's slots, and holds the address of the common miss entry that New was given
// (package guard has one). Whether the stub was called or the slot was read
// (`call *slot(%rip)`), the entry finds
//
//	0(%rsp)   the stub's address + 14: which stub it was
//	8(%rsp)   the return address of the call
//
// and every register as the caller left it, so that it can do what must be done, drop the
// first word and jump to the function as if nothing had happened. It must not return to the
// stub, where ud2 follows. At tells the Stub of the word.
//
// On aarch64 the place is a brk at offset 12: a miss is a fault with the program counter in
// the stub and the return address in x30, until there is an entry for that machine.
//
// # Invariants
//
//   - a stub on the free list has its miss in its slot;
//   - stubs are reused in the order in which they were freed, after those that never
//     were used, so that a call through a stale pointer is a miss for as long as can be;
//   - an empty page is kept until more than an eighth of all pages, and more than one, are empty.
//
// Locks: Table.mu guards the pages and the free list. The Memory's own locks are
// taken under it. Redirect and Target take no lock.
package stubtable

import (
	"fmt"
	"runtime"
	"sync"

	"livejit/internal/codearena"
)

// StubSize is the number of bytes of a stub, and its alignment.
const StubSize = 16

// SlotSize is the number of bytes of a slot, and its alignment.
const SlotSize = 8

// pageStubs is the number of stubs made at once.
const pageStubs = 256

// Memory is where stubs and slots come from: a *codearena.Arena. Every span of it must be
// within 2 GiB of every other.
type Memory interface {
	Allocate(codearena.Request) (codearena.Span, error)
	Write(s codearena.Span, off uint64, b []byte) error
	Free(codearena.Span) error
}

// Stub is one stub: the address of its code and of its pointer slot.
type Stub struct{ Addr, Slot uint64 }

// Table hands out stubs. It is safe for concurrent use.
type Table struct {
	memory Memory
	enc    *encoding
	miss   uint64 // address of the common miss entry

	mu     sync.Mutex
	pages  []page            // indexed by the page number in a free list entry
	gaps   []uint32          // numbers of pages that were given back
	byAddr map[uint64]uint32 // address of the first stub → page number
	free   queue
	live   int // stubs handed out
	empty  int // pages without a live stub
	closed bool
	failed error // what the Memory said when it refused to take a page back
}

// A page is 256 stubs with their slots and, behind these, the miss cell.
type page struct {
	stubs, slots codearena.Span // stubs.Size is 0 in a gap
	inUse        [pageStubs / 64]uint64
	live         int
}

// New returns an empty table for the machine this program runs on; *MachineError if
// there is no stub for it. miss is the address of the code that every miss enters, as the
// package comment says; it must stay for as long as a stub can be called. New takes memory
// with the first stub.
func New(m Memory, miss uint64) (*Table, error) { return newFor(m, miss, runtime.GOARCH) }

func newFor(m Memory, miss uint64, arch string) (*Table, error) {
	enc, ok := encodings[arch]
	if !ok {
		return nil, &MachineError{Arch: arch}
	}
	return &Table{memory: m, enc: enc, miss: miss, byAddr: map[uint64]uint32{}}, nil
}

// Alloc hands out a stub that leads to its miss until it is redirected. Errors: those of the
// Memory, *DistanceError, ErrClosed.
func (t *Table) Alloc() (Stub, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return Stub{}, ErrClosed
	}
	if t.free.len() == 0 {
		if err := t.addPage(); err != nil {
			return Stub{}, fmt.Errorf("stubtable: add a page of stubs: %w", err)
		}
	}
	number, i := unpack(t.free.pop())
	p := &t.pages[number]
	if p.live == 0 {
		t.empty--
	}
	p.live++
	t.live++
	p.inUse[i/64] |= 1 << (i % 64)
	return p.stub(i), nil
}

// Free takes a stub back: from now on, and until it is handed out and redirected
// again, calling it is a miss. Nobody may redirect it any more. A stub that is not
// live is an error of the program and panics. If the Memory refuses to take an
// empty page back, Close tells.
func (t *Table) Free(s Stub) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	number, i, ok := t.find(s.Addr)
	if !ok || t.pages[number].stub(i) != s {
		panic(fmt.Sprintf("BUG: stubtable: free of %#x (slot %#x), which is not a live stub", s.Addr, s.Slot))
	}
	p := &t.pages[number]
	t.Redirect(s, t.Miss(s))
	p.inUse[i/64] &^= 1 << (i % 64)
	p.live--
	t.live--
	t.free.push(pack(number, i))
	if p.live > 0 {
		return
	}
	t.empty++
	if t.empty > 1 && t.empty*8 > len(t.byAddr) {
		t.releaseEmpty(1)
	}
}

// Redirect makes the stub lead to target. It is one store of 8 bytes with release
// order: a thread that arrives at target sees all that was written before the call.
// Stubs that call and threads that redirect need no other agreement.
func (t *Table) Redirect(s Stub, target uint64) { storeRelease(s.Slot, target) }

// Target returns where the stub leads.
func (t *Table) Target(s Stub) uint64 { return loadAcquire(s.Slot) }

// Miss returns the address of the stub's own miss: redirected there, a call of the stub
// enters the common miss entry.
func (t *Table) Miss(s Stub) uint64 { return s.Addr + t.enc.miss }

// At returns the live stub whose code contains pc, which may be the stub's address or the
// word that its miss pushes (address + 14); false if none does.
func (t *Table) At(pc uint64) (Stub, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	number, i, ok := t.find(pc)
	if !ok {
		return Stub{}, false
	}
	return t.pages[number].stub(i), true
}

// find is the page and place of the live stub whose code contains pc. The caller holds t.mu.
func (t *Table) find(pc uint64) (number, i uint32, ok bool) {
	const size = pageStubs * StubSize
	number, ok = t.byAddr[pc&^(size-1)]
	if !ok {
		return 0, 0, false
	}
	i = uint32(pc % size / StubSize)
	return number, i, t.pages[number].inUse[i/64]&(1<<(i%64)) != 0
}

// Stats is the account of a table.
type Stats struct {
	Live  int // stubs handed out
	Free  int // stubs that a page has room for
	Pages int
}

// Stats reads the account.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Live: t.live, Free: t.free.len(), Pages: len(t.byAddr)}
}

// Pages calls f with the memory of each page of stubs and its slots, in no order. f must
// not call the table.
func (t *Table) Pages(f func(stubs, slots codearena.Span)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.pages {
		if p := &t.pages[i]; p.stubs.Size > 0 {
			f(p.stubs, p.slots)
		}
	}
}

// Close gives all pages back, those with live stubs too: nothing may call them any
// more. The error is what the Memory said to this, or to a Free before. A second
// Close does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	for i := range t.pages {
		t.pages[i].live, t.pages[i].inUse = 0, [pageStubs / 64]uint64{}
	}
	t.empty, t.live = len(t.byAddr), 0
	t.releaseEmpty(0)
	if t.failed != nil {
		return fmt.Errorf("stubtable: give pages back: %w", t.failed)
	}
	return nil
}
