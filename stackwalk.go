package livejit

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"livejit/internal/guard"
	"livejit/stackmap"
)

// StackFrame is one activation of a function of the engine that waits for a call to return. It is valid until the function given to WalkStack returns.
type StackFrame struct {
	PC uint64 // the return address of the call
	SP uint64 // the stack pointer when the call has returned

	// Roots has each place of the frame that holds a pointer into a collected heap, once: none for functions without a garbage collector, and none that
	// the function does not use after the call.
	Roots []GCRoot
	// Objects are the addresses of stack objects that hold roots themselves: those given to hand-written statepoints as gc-live. Their layout is
	// known to who wrote them.
	Objects []uintptr

	engine *Engine
}

// GCRoot is a place with a pointer into a collected heap, or null.
type GCRoot struct {
	Slot Slot
	// Base is the place of the pointer to the object that Slot points into, as the code has got it from its allocator or from memory. It is Slot itself
	// unless Slot was derived from it, by getelementptr for example: then it points somewhere inside of the object, or just behind it. The frame's Roots have Base too, as
	// a Slot.
	Base Slot
}

// Slot is the address of a place of 8 bytes on a stack.
type Slot uintptr

// Load returns what the place holds.
func (s Slot) Load() uintptr { return *(*uintptr)(nativePointer(uint64(s))) }

// Store changes it: the code goes on with the new value.
func (s Slot) Store(v uintptr) { *(*uintptr)(nativePointer(uint64(s))) = v }

// Relocate gives all roots new values: move is called with each pointer to an object once for each place that holds it, and returns where the object is now. Null
// is left alone, and pointers derived from another keep their distance to it.
func (f *StackFrame) Relocate(move func(object uintptr) uintptr) {
	for _, r := range f.Roots { // the distance takes the place of the pointer
		if r.Slot != r.Base {
			r.Slot.Store(r.Slot.Load() - r.Base.Load())
		}
	}
	for _, r := range f.Roots {
		if object := r.Slot.Load(); r.Slot == r.Base && object != 0 {
			r.Slot.Store(move(object))
		}
	}
	for _, r := range f.Roots {
		if r.Slot != r.Base {
			r.Slot.Store(r.Slot.Load() + r.Base.Load())
		}
	}
}

// Location says where in which version of which function the call stands; it is that of PC-1.
func (f *StackFrame) Location() Location {
	l, _ := f.engine.Symbolize(f.PC - 1)
	return l
}

// StackMapError reports a frame that keeps WalkStack from finding all pointers into the heap.
type StackMapError struct {
	Location Location // of the return address
	Reason   string
}

func (e *StackMapError) Error() string {
	return fmt.Sprintf("stack frame of %s: %s", e.Location, e.Reason)
}

// WalkStack calls visit for each frame of the engine's code on the stack, the innermost first, with the frame's pointers into a collected heap, which visit may
// change. Only a Go function that native code has called (Define) may call it, or what it calls on the same goroutine: an allocator, or what
// a poll leads to. The frames are those below it and, if Go code has entered the engine again in between, those below that Go function too, down to the first
// entry. Code of others in between, such as qsort calling back, is stepped over; it must have unwind tables, as on Linux all but hand-written assembly has. So is
// code of other engines: walk each.
//
// The roots are found by the stack maps of statepoints, which WithStatepoints makes. Not among them are the arguments that the Go function was called with, and what Go
// code or foreign code holds: keep those in places that the collector knows. visit returns nil to go on; another error ends the walk and is
// returned. Before the first visit all frames have been read: a *StackMapError for a frame of a function with a garbage collector that waits for a call
// without a statepoint (a "gc-leaf-function" that has not been one), and other errors, leave everything as it is.
//
// A frame takes about a quarter of a microsecond. Walks wait for transactions that are being linked; visit may call the engine.
func (e *Engine) WalkStack(visit func(*StackFrame) error) error {
	b := stackBuffers.Get().(*stackBuffer)
	defer stackBuffers.Put(b)
	native, err := guard.Stack(b.native[:0])
	b.native = native
	if err != nil {
		return e.stackError(err)
	}
	if err := e.readStack(b); err != nil {
		return err
	}
	for i := range b.frames {
		if err := visit(&b.frames[i]); err != nil {
			return err
		}
	}
	return nil
}

// stackBuffer is the memory of a walk, which is used again: collectors must be quick.
type stackBuffer struct {
	native []guard.StackFrame
	frames []StackFrame
	roots  []GCRoot
	spans  []stackSpan
}

// stackSpan is where a frame's roots lie in stackBuffer.roots, which moves while it grows.
type stackSpan struct{ from, to int }

var stackBuffers = sync.Pool{New: func() any { return new(stackBuffer) }}

func (e *Engine) stackError(err error) error {
	var stuck *guard.StuckError
	if errors.As(err, &stuck) {
		l, _ := e.Symbolize(stuck.PC - 1)
		return &StackMapError{Location: l, Reason: "there is no unwind information for it, so the frames below it cannot be found"}
	}
	return fmt.Errorf("walk the stack: %w", err)
}

// readStack makes frames of the native ones.
func (e *Engine) readStack(b *stackBuffer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	b.frames, b.roots, b.spans = b.frames[:0], b.roots[:0], b.spans[:0]
	for i := range b.native {
		n := &b.native[i]
		if !e.inRange(n.PC - 1) {
			continue
		}
		s, err := e.stackSite(n.PC)
		if err != nil {
			return err
		}
		f := StackFrame{PC: n.PC, SP: n.SP, engine: e}
		from := len(b.roots)
		if s != nil {
			for _, r := range s.roots {
				b.roots = append(b.roots, GCRoot{Slot: Slot(r.slot.address(n)), Base: Slot(r.base.address(n))})
			}
			for _, o := range s.objects {
				f.Objects = append(f.Objects, uintptr(o.address(n)))
			}
		}
		b.frames, b.spans = append(b.frames, f), append(b.spans, stackSpan{from, len(b.roots)})
	}
	for i, s := range b.spans {
		b.frames[i].Roots = b.roots[s.from:s.to:s.to]
	}
	return nil
}

// stackSite is a statepoint as the walker needs it.
type stackSite struct {
	roots   []stackRoot
	objects []stackPlace
}

type stackRoot struct{ slot, base stackPlace }

// stackPlace is a place in a frame.
type stackPlace struct {
	register uint16 // DWARF number
	offset   int32
}

// Registers by which LLVM addresses what lies in a frame (System V AMD64 psABI, figure 3.36).
const (
	dwarfRBX = 3
	dwarfRBP = 6
	dwarfRSP = 7
)

func (p stackPlace) address(f *guard.StackFrame) uint64 {
	base := f.SP
	switch p.register {
	case dwarfRBX:
		base = f.BP
	case dwarfRBP:
		base = f.FP
	}
	return base + uint64(int64(p.offset))
}

// stackSite returns the statepoint of a call by its return address, nil if the function has no garbage collector. The engine is locked.
func (e *Engine) stackSite(pc uint64) (*stackSite, error) {
	code, ok := e.region.Find(pc - 1)
	if !ok {
		return nil, nil // a stub, or code that is no function's
	}
	p := e.pieces[code.ID]
	if p == nil || !p.collected {
		return nil, nil
	}
	if s := p.sites[pc]; s != nil {
		return s, nil
	}
	l, _ := e.own(pc - 1)
	fail := func(format string, a ...any) (*stackSite, error) {
		return nil, &StackMapError{Location: l, Reason: fmt.Sprintf(format, a...)}
	}
	_, record := p.stackMap(pc)
	if record == nil {
		return fail("the function has a garbage collector, but the call it waits for is no statepoint")
	}
	point, ok := record.Statepoint()
	if !ok {
		return fail("the function has a garbage collector, but the stack map of the call it waits for is not that of a statepoint")
	}
	s, reason := readStatepoint(point)
	if reason != "" {
		return fail("%s", reason)
	}
	if p.sites == nil {
		p.sites = make(map[uint64]*stackSite)
	}
	p.sites[pc] = s
	return s, nil
}

// readStatepoint makes each place appear once, pointers to objects before what is derived from them. The reason says what cannot be read.
func readStatepoint(point stackmap.Statepoint) (s *stackSite, reason string) {
	s = &stackSite{}
	var derived []stackRoot
	for _, r := range point.Roots {
		if isConstant(r.Base) && isConstant(r.Derived) {
			continue // null, or undefined
		}
		lanes := max(r.Base.Size, r.Derived.Size, 8) / 8 // more than one for a vector
		for lane := range lanes {
			base, reason := rootPlace(r.Base, lane)
			if reason != "" {
				return nil, reason
			}
			slot, reason := rootPlace(r.Derived, lane)
			if reason != "" {
				return nil, reason
			}
			if !isConstant(r.Base) {
				s.add(stackRoot{base, base})
			}
			if !isConstant(r.Base) && !isConstant(r.Derived) && slot != base {
				derived = append(derived, stackRoot{slot, base})
			}
		}
	}
	for _, r := range derived {
		s.add(r)
	}
	for _, a := range point.Allocas {
		p, reason := place(a)
		if reason != "" {
			return nil, reason
		}
		s.objects = append(s.objects, p)
	}
	return s, ""
}

func (s *stackSite) add(r stackRoot) {
	if !slices.ContainsFunc(s.roots, func(have stackRoot) bool { return have.slot == r.slot }) {
		s.roots = append(s.roots, r)
	}
}

func isConstant(l stackmap.Location) bool {
	return l.Kind == stackmap.Constant || l.Kind == stackmap.ConstantIndex
}

// rootPlace is the place of a root, or of a pointer of a vector of roots. Constants have none.
func rootPlace(l stackmap.Location, lane uint16) (stackPlace, string) {
	switch {
	case isConstant(l):
		return stackPlace{}, ""
	case l.Kind != stackmap.Indirect:
		return stackPlace{}, fmt.Sprintf("a root is not in memory but %s; compile without roots in registers", l)
	case l.Size%8 != 0 || 8*(lane+1) > l.Size:
		return stackPlace{}, fmt.Sprintf("a root is no pointer of 8 bytes, nor a vector of these as large as its base's: %s", l)
	}
	p, reason := place(l)
	p.offset += 8 * int32(lane)
	return p, reason
}

func place(l stackmap.Location) (stackPlace, string) {
	if l.Reg != dwarfRSP && l.Reg != dwarfRBP && l.Reg != dwarfRBX {
		return stackPlace{}, fmt.Sprintf("a place is not told by rsp, rbp or rbx: %s", l)
	}
	return stackPlace{l.Reg, l.Offset}, ""
}
