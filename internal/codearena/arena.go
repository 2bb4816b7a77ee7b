// Package codearena packs code, read-only data, data, stubs and slots side by
// side into one reserved range of addresses and takes back what is freed.
//
// The range is cut into chunks of 256 KiB. A pool (code, read-only, data) is
// given runs of chunks as it grows, each in its own direction from its own home,
// so that in the usual case an arena has one mapping for each pool; when a pool
// meets another it continues in the largest room there is. So each kind may grow
// until the whole range is used up, and one request may be as large as the
// largest room.
//
// A live span costs no record: what must be known about it is derived from the
// Span that its owner gives back. There is one bit for each place where a span
// may begin, which tells a true Free from a false one, and two bytes for each
// page. Free blocks are kept in lists by size and found by their ends, so that
// neighbours join at once (freelist.go).
//
// Freed code is filled with int3, freed data and read-only memory with zero.
// Pages that hold nothing go back to the system in batches (pages.go).
//
// Invariants:
//   - no two live spans overlap; a span never crosses into another pool's chunk;
//   - no two neighbouring free blocks of a pool stay apart;
//   - data and read-only spans are zero when they are handed out;
//   - a page is "full of nothing" exactly when its live count is 0.
//
// Locks: Arena.mu guards all but the counters of writes and is held for
// bookkeeping and for growing, never while memory is filled. No lock is taken
// under it. Write takes no lock (in vmem's Protect mode: one inside vmem).
package codearena

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"livejit/internal/vmem"
)

// Kind says what a span is for.
type Kind uint8

const (
	// Code executes. Granule 16 bytes.
	Code Kind = iota
	// ReadOnly holds constants, unwind tables, GOT entries. Granule 8 bytes.
	ReadOnly
	// Data reads and writes in place; it is private to the process. Granule 8 bytes.
	Data
	// Stubs is code of package stubtable; it lies among Code.
	Stubs
	// Slots is data of package stubtable; it lies among Data.
	Slots

	// NumKinds is the number of kinds.
	NumKinds = int(Slots) + 1
)

var kindNames = [NumKinds]string{"code", "read-only data", "data", "stubs", "slots"}

// String names the kind for error messages.
func (k Kind) String() string {
	if int(k) < NumKinds {
		return kindNames[k]
	}
	return "unknown kind"
}

// DefaultSize is the number of bytes of address space an arena reserves when
// Options.Size is 0. Address space is not memory. It is a little below 1 GiB so
// that there is room for it in the low 2 GiB wherever Linux has put the program's
// break, for which it chooses a place within 1 GiB of a fixed executable's end.
const DefaultSize = 960 << 20

// MaxAlign is the largest alignment a request may have.
const MaxAlign = vmem.Align

// Options say how an arena is made. The zero value is meant for use.
type Options struct {
	// Size is the address space to reserve in bytes: default 960 MiB, at most 2 GiB,
	// rounded up to 256 KiB, at least 1 MiB.
	Size uint64
	// KeepPages never gives pages back to the system, so that freed code stays
	// filled with int3. It is for finding calls to freed code.
	KeepPages bool
	// Mode is how writable and executable views are kept apart; default: the
	// first that the system allows.
	Mode vmem.Mode
}

// Request asks for a span. Module, Function and Section only name the asker in errors.
type Request struct {
	Module, Function, Section string
	Kind                      Kind
	Size                      uint64 // bytes; 0 is served with an address of its own
	Align                     uint64 // power of two up to MaxAlign; 0 means 1
}

// Span is a piece of memory that belongs to whoever allocated it.
type Span struct {
	RX   uint64 // address at which it executes or is read
	RW   uint64 // address at which it is written; RX for data, and where there is only one view
	Size uint64 // bytes, as requested
	Kind Kind
}

// Arena hands out spans of one range of addresses. It is safe for concurrent use.
type Arena struct {
	space     *vmem.Space
	lo, hi    uint64
	keepPages bool
	closed    atomic.Bool
	writes    [NumKinds]writeCount

	mu     sync.Mutex
	chunks []*chunk // by (address - lo) / chunkSize; nil: belongs to no pool yet
	pools  [numPools]pool
	spans  [NumKinds]int
	inUse  [NumKinds]uint64 // bytes, whole granules
}

type writeCount struct{ calls, bytes atomic.Uint64 }

// A pool is all memory of one access.
type pool struct {
	access vmem.Access
	shift  uint   // log2 of the granule; units below are granules
	home   uint32 // chunk at which a pool that grows up looks first
	down   bool   // grows towards lower addresses
	grown  uint32 // chunks it owns
	free   freeList
	pages  pageCounts
}

const (
	codePool = iota
	readOnlyPool
	dataPool
	numPools
)

// poolOf maps a kind to its pool.
var poolOf = [NumKinds]uint8{Code: codePool, ReadOnly: readOnlyPool, Data: dataPool, Stubs: codePool, Slots: dataPool}

// New reserves an arena. It costs address space only. The error is a *vmem.Error.
func New(o Options) (*Arena, error) {
	size := o.Size
	if size == 0 {
		size = DefaultSize
	}
	if size <= vmem.MaxSize { // else vmem's error names the limit
		size = max(1<<20, (size+chunkSize-1)&^(chunkSize-1))
	}
	space, err := vmem.Reserve(vmem.Options{Size: size, Mode: o.Mode})
	if err != nil {
		return nil, err
	}
	a := &Arena{space: space, keepPages: o.KeepPages}
	a.lo, a.hi = space.Range()
	n := uint32(size / chunkSize)
	a.chunks = make([]*chunk, n)
	codeShift, readOnlyShift := uint(4), uint(3)
	if !space.Dual() {
		// A page that is being written cannot execute, so spans share no page.
		codeShift = uint(bits.TrailingZeros64(vmem.PageSize))
		readOnlyShift = codeShift
	}
	a.pools[codePool] = pool{access: vmem.Code, shift: codeShift}
	a.pools[readOnlyPool] = pool{access: vmem.ReadOnly, shift: readOnlyShift, home: n / 4}
	a.pools[dataPool] = pool{access: vmem.Data, shift: 3, down: true}
	return a, nil
}

// Range returns the first address of the arena and the one after its last.
// Every span lies in it.
func (a *Arena) Range() (lo, hi uint64) { return a.lo, a.hi }

// Allocate hands out a span. Spans of kind Data and ReadOnly are zero; what a Code
// span holds is undefined. Errors: *RequestError for a request that makes no
// sense, *ExhaustedError when there is no room, *vmem.Error when the system
// refuses memory, ErrClosed.
func (a *Arena) Allocate(r Request) (Span, error) {
	if err := a.check(r); err != nil {
		return Span{}, err
	}
	p := &a.pools[poolOf[r.Kind]]
	units := p.units(r.Size)
	align := uint32(max(1, r.Align>>p.shift))

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		return Span{}, ErrClosed
	}
	start, err := a.take(p, units, align)
	if err != nil {
		return Span{}, err
	}
	if start == none {
		return Span{}, a.exhausted(r)
	}
	a.markLive(p, start, units)
	a.spans[r.Kind]++
	a.inUse[r.Kind] += uint64(units) << p.shift
	addr := a.lo + uint64(start)<<p.shift
	return Span{RX: addr, RW: a.space.Writable(p.access, addr), Size: r.Size, Kind: r.Kind}, nil
}

// check refuses requests that make no sense.
func (a *Arena) check(r Request) error {
	switch {
	case int(r.Kind) >= NumKinds:
		return &RequestError{Request: r, Msg: "there is no such kind of memory"}
	case r.Align > MaxAlign || r.Align&(r.Align-1) != 0:
		return &RequestError{Request: r, Msg: "the alignment is not a power of two up to 2 MiB"}
	case r.Size > a.hi-a.lo:
		return a.exhaustedLocked(r)
	}
	return nil
}

// take finds room for units, growing the pool if it must; none if there is none.
func (a *Arena) take(p *pool, units, align uint32) (uint32, error) {
	if start := p.free.take(units, align, quickProbes); start != none {
		return start, nil
	}
	grown, err := a.grow(p, units, align)
	if err != nil {
		return none, err
	}
	if grown {
		if start := p.free.take(units, align, quickProbes); start != none {
			return start, nil
		}
	}
	// Quick looks only at the first few blocks of a list.
	return p.free.take(units, align, allProbes), nil
}

// Write copies b into the span at off, through the writable view. It takes no lock
// and, unless vmem is in Protect mode, makes no system call. In that mode the
// pages of the span cannot execute while they are written. Errors: *SpanError,
// *vmem.Error, ErrClosed.
func (a *Arena) Write(s Span, off uint64, b []byte) error {
	if err := a.checkSpan("write", s); err != nil {
		return err
	}
	if off > s.Size || uint64(len(b)) > s.Size-off {
		return &SpanError{Op: "write", Span: s, Offset: off, Bytes: uint64(len(b)), Msg: "the bytes do not fit the span"}
	}
	if err := a.space.Write(a.pools[poolOf[s.Kind]].access, s.RX+off, b); err != nil {
		return err
	}
	a.writes[s.Kind].calls.Add(1)
	a.writes[s.Kind].bytes.Add(uint64(len(b)))
	return nil
}

// checkSpan refuses what cannot be a span of this arena.
func (a *Arena) checkSpan(op string, s Span) error {
	switch {
	case a.closed.Load():
		return ErrClosed
	case int(s.Kind) >= NumKinds:
		return &SpanError{Op: op, Span: s, Msg: "there is no such kind of memory"}
	case s.RX < a.lo || s.RX >= a.hi || s.Size > a.hi-s.RX:
		return &SpanError{Op: op, Span: s, Msg: "it is not of this arena"}
	}
	return nil
}

// Free takes a span back. Nobody may execute, read or write it any more. Errors:
// *SpanError if it is not a live span of this arena (freed twice, or not as it was
// handed out), *vmem.Error, ErrClosed.
func (a *Arena) Free(s Span) error {
	if err := a.checkSpan("free", s); err != nil {
		return err
	}
	p := &a.pools[poolOf[s.Kind]]
	start, units := uint32((s.RX-a.lo)>>p.shift), p.units(s.Size)
	a.mu.Lock()
	err := a.checkLive(p, s, start, units)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	given, err := a.wipe(p, s.RX, uint64(units)<<p.shift)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// Once more, for two goroutines that free the same span.
	if err := a.checkLive(p, s, start, units); err != nil {
		return err
	}
	a.unmark(p, start)
	a.markFree(p, start, units, given)
	p.free.insert(start, units)
	a.spans[s.Kind]--
	a.inUse[s.Kind] -= uint64(units) << p.shift
	if !a.keepPages {
		a.giveBack(p)
	}
	return nil
}

// checkLive checks that a live span lies at exactly those granules. The caller
// holds a.mu.
func (a *Arena) checkLive(p *pool, s Span, start, units uint32) error {
	end := start + units
	switch {
	case a.closed.Load():
		return ErrClosed
	case (s.RX-a.lo)&(1<<p.shift-1) != 0 || !a.begins(p, start):
		return &SpanError{Op: "free", Span: s, Msg: "no live span begins there"}
	// Between two live spans there is nothing or one free block: so the end is
	// right if something begins there, and what lies before it is not free.
	case !a.only(p, start+1, end) || p.free.endingAt(end) != 0,
		!a.begins(p, end) && p.free.beginningAt(end) == 0 && a.owner(p, end) == p:
		return &SpanError{Op: "free", Span: s, Msg: "the live span there has another size"}
	}
	return nil
}

// Close unmaps the arena. Nothing in it may be executed, read or written any more;
// calls that are under way must have returned. A second Close does nothing.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Swap(true) {
		return nil
	}
	a.chunks = nil
	for i := range a.pools {
		a.pools[i].free, a.pools[i].pages = freeList{}, pageCounts{}
	}
	return a.space.Close()
}

// units is a size in granules; a span of no bytes has an address of its own too.
func (p *pool) units(size uint64) uint32 {
	return uint32(max(1, (size+1<<p.shift-1)>>p.shift))
}
