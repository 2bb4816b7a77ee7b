package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"livejit"
)

// A value is a word. Odd: the number value>>1. 0: nil, which is also the empty list and false. Else the address of an object: a header and words after it.
// Objects are in the heap, where they move, or permanent.
type value uintptr

const (
	minFixnum, maxFixnum = -1 << 62, 1<<62 - 1

	null value = 0
)

func fixnum(n int64) value       { return value(n<<1 | 1) }
func (v value) isFixnum() bool   { return v&1 != 0 }
func (v value) number() int64    { return int64(v) >> 1 }
func (v value) isObject() bool   { return v != null && v&1 == 0 }
func (v value) is(k kind) bool   { return v.isObject() && kindOf(*v.word(0)) == k }
func (v value) word(i int) *word { return (*word)(pointer(uintptr(v) + 8*uintptr(i))) }

// word is a place of 8 bytes in memory that is not Go's.
type word uintptr

// A header is odd, so that it is told from the address that takes its place when the object has moved: number of words behind it << 16 | kind.
type kind uint16

const (
	pairKind    kind = 1 + 2*iota // car, cdr
	vectorKind                    // elements
	boxKind                       // value of a variable that a closure has captured and somebody assigns
	closureKind                   // address of code, number of parameters, captured values
	textKind                      // length in bytes, bytes
	symbolKind                    // number of the name; permanent
	recordKind                    // number of the shape, fields
)

func header(k kind, words int) word { return word(words)<<16 | word(k) }
func kindOf(h word) kind            { return kind(h) }
func wordsOf(h word) int            { return int(h >> 16) }

// plain is how many words of an object are no values, before those that are.
func plain(h word) int {
	switch kindOf(h) {
	case closureKind:
		return 2
	case recordKind:
		return 1
	case textKind, symbolKind:
		return wordsOf(h)
	}
	return 0
}

// heap is a copying collector with Cheney's scan, in memory outside of Go's heap. Allocation is a step of the free pointer, which code does by itself up to the limit.
type heap struct {
	frontier *frontier
	spaces   []space // in stress all but the current one are unreadable, and each is used again only after the others
	current  int
	stress   bool
	maximum  int // bytes of a space
	wanted   int // bytes of the next one

	// roots walks over the places outside of the heap that hold values, those of frames first, and hands each to move.
	roots func(walk walker, move func(uintptr) uintptr) error
	walk  walker // of the thread that allocates

	collections, moved, frames int64
}

// walker visits frames of compiled code.
type walker func(visit func(*livejit.StackFrame) error) error

// frontier is shared with compiled code.
type frontier struct{ free, limit value }

func (h *heap) frontierAddress() uintptr { return uintptr(unsafe.Pointer(h.frontier)) }

type space []byte

func (s space) start() value { return value(uintptr(unsafe.Pointer(unsafe.SliceData(s)))) }
func (s space) end() value   { return s.start() + value(len(s)) }

func (s space) protect(prot int) {
	if err := syscall.Mprotect(s, prot); err != nil {
		panic(fmt.Errorf("protect a space of the heap: %w", err))
	}
}

func (s space) unmap() {
	if err := syscall.Munmap(s); err != nil {
		panic(fmt.Errorf("unmap a space of the heap: %w", err))
	}
}

func mapMemory(bytes int) (space, error) {
	s, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", bytes, err)
	}
	return s, nil
}

const (
	firstSpace   = 1 << 20
	stressSpaces = 4
)

func newHeap(f *frontier, stress bool, maximum int) (*heap, error) {
	h := &heap{frontier: f, stress: stress, maximum: maximum, spaces: make([]space, 2)}
	if stress {
		h.spaces = make([]space, stressSpaces)
	}
	for i := range h.spaces {
		var err error
		if h.spaces[i], err = mapMemory(firstSpace); err != nil {
			h.close()
			return nil, err
		}
		if stress && i > 0 {
			h.spaces[i].protect(syscall.PROT_NONE)
		}
	}
	h.begin(h.spaces[0])
	return h, nil
}

func (h *heap) close() {
	for _, s := range h.spaces {
		if s != nil {
			s.unmap()
		}
	}
	h.spaces = nil
}

// begin allocates from the start of s. In stress code finds no room and asks for each object.
func (h *heap) begin(s space) {
	*h.frontier = frontier{s.start(), s.end()}
	if h.stress {
		h.frontier.limit = 0
	}
}

// alloc returns room for an object of so many bytes, header included, which the caller fills before it allocates again. It may move all objects. It
// panics if the heap is full or the stack cannot be read: native code then ends with a *livejit.PanicError.
func (h *heap) alloc(bytes int) value {
	if h.stress || !h.fits(bytes) {
		h.collect(h.walk)
	}
	if live := int(h.frontier.free - h.spaces[h.current].start()); !h.fits(bytes) {
		if h.wanted = max(h.wanted, 2*(live+bytes)); live+bytes > h.maximum {
			panic(fmt.Errorf("the heap is full: %d bytes are live, %d are wanted, %d are the maximum", live, bytes, h.maximum))
		}
		h.collect(h.walk)
	}
	o := h.frontier.free
	h.frontier.free += value(bytes)
	return o
}

func (h *heap) fits(bytes int) bool {
	return h.frontier.free+value(bytes) <= h.spaces[h.current].end()
}

// collect moves what can be reached into the next space. walk visits the frames.
func (h *heap) collect(walk walker) {
	from := h.spaces[h.current]
	next := (h.current + 1) % len(h.spaces)
	used := int(h.frontier.free - from.start())
	h.size(next, used)
	to := h.spaces[next]
	if h.stress {
		to.protect(syscall.PROT_READ | syscall.PROT_WRITE)
	}
	h.begin(to)
	inside := func(v value) bool { return v.isObject() && v >= from.start() && v < from.end() }
	move := func(old uintptr) uintptr {
		v := value(old)
		if !inside(v) {
			return old // a number, or permanent
		}
		head := *v.word(0)
		if head&1 == 0 {
			return uintptr(head) // it has moved: this is where to
		}
		o := h.frontier.free
		n := wordsOf(head) + 1
		copy(unsafe.Slice(o.word(0), n), unsafe.Slice(v.word(0), n))
		h.frontier.free += value(8 * n)
		*v.word(0) = word(o)
		h.moved++
		return uintptr(o)
	}
	if err := h.roots(walk, move); err != nil {
		h.begin(from) // nothing has moved
		h.frontier.free += value(used)
		panic(fmt.Errorf("collect: %w", err))
	}
	for o := to.start(); o < h.frontier.free; { // all before o point into the new space
		head := *o.word(0)
		fields := unsafe.Slice(o.word(1), wordsOf(head))
		for i := plain(head); i < len(fields); i++ {
			fields[i] = word(move(uintptr(fields[i])))
		}
		o += value(8 * (len(fields) + 1))
	}
	h.collections++
	h.current = next
	if h.stress {
		from.protect(syscall.PROT_NONE)
	}
	switch live := int(h.frontier.free - to.start()); { // a heap that is nearly full would be collected all the time
	case live > h.maximum/8*7:
		panic(fmt.Errorf("the heap is full: %d bytes are live, %d are the maximum", live, h.maximum))
	case live > len(to)/2:
		h.wanted = 2 * len(to)
	}
}

// size makes a space large enough for need bytes, and for what the last collection has asked for.
func (h *heap) size(i, need int) {
	n := len(h.spaces[i])
	for n < max(need, h.wanted) {
		n *= 2
	}
	if n = max(min(n, h.maximum), need); n <= len(h.spaces[i]) {
		return
	}
	s, err := mapMemory(n)
	if err != nil {
		panic(err)
	}
	h.spaces[i].unmap()
	h.spaces[i] = s
}

// frameRoots moves the roots of all frames of compiled code.
func (h *heap) frameRoots(walk walker, move func(uintptr) uintptr) error {
	return walk(func(f *livejit.StackFrame) error {
		h.frames++
		f.Relocate(move)
		return nil
	})
}
