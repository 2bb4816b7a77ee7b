package guard

import (
	"fmt"
	"sync"
	"unsafe"
)

const frameWords = int(unsafe.Sizeof(Frame{}) / 8)

var framePool = sync.Pool{New: func() any { return new(Frame) }}

// NewFrame returns a zero Frame with room for stack words: NStack is set to that number.
func NewFrame(stack int) *Frame {
	if stack <= InlineStack {
		return &Frame{NStack: uint32(stack)}
	}
	words := make([]uint64, frameWords-InlineStack+stack)
	f := (*Frame)(unsafe.Pointer(unsafe.SliceData(words)))
	f.NStack, f.capacity = uint32(stack), uint32(stack)
	return f
}

// GetFrame is NewFrame from a pool: arguments and results hold what the last user left. Give it back with [Frame.Put].
func GetFrame(stack int) *Frame {
	if stack > InlineStack {
		return NewFrame(stack)
	}
	f := framePool.Get().(*Frame)
	f.NStack, f.X87 = uint32(stack), 0
	return f
}

// Put gives f back to the pool of [GetFrame]. f must not be used after.
func (f *Frame) Put() {
	if f.capacity == 0 {
		framePool.Put(f)
	}
}

// Stack returns the stack words in use, for reading and writing.
func (f *Frame) Stack() []uint64 {
	if limit := max(f.capacity, InlineStack); f.NStack > limit {
		panic(fmt.Sprintf("BUG: guard: frame with %d stack words has room for %d", f.NStack, limit))
	}
	return unsafe.Slice(&f.stack[0], f.NStack)
}

// Stack returns n stack arguments as words, from number first. The callback's signature says how many there are: reading more reads the
// native caller's frame.
func (c *Callback) Stack(first, n int) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Add(native(c.stack), first*8)), n)
}

// Entered tells whether the callback was called by native code that a [Call] entered on this thread. If not, a panic cannot be carried and ends
// the process, as in any Go program.
func (c *Callback) Entered() bool { return c.landing != 0 }

// native makes a pointer to memory that is not Go's; vet allows no direct conversion.
func native(address uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }
