package guard

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// CallbackHandle is a Go function that native code can call. It lives until [CallbackHandle.Release]; it is never released by a finalizer, since native
// code may hold its address.
type CallbackHandle struct {
	id   uint64
	once sync.Once
}

// A callback id is a place in the table and, in the high half, the place's generation, so that a released id is never taken for its successor.
type callbackTable struct {
	places atomic.Pointer[[]*callbackPlace] // replaced by a longer copy to grow; read without the lock
	mu     sync.Mutex                       // guards free and the writing of places
	free   []uint32
	live   atomic.Int64
}

type callbackPlace struct {
	generation uint32 // guarded by mu
	entry      atomic.Pointer[callbackEntry]
}

type callbackEntry struct {
	id uint64
	fn func(*Callback)
}

var callbacks callbackTable

// NewCallback makes fn callable by native code, through [CallbackHandle.Code] or [CallbackHandle.Closure]. fn may run on any thread, also on several at
// once and on ones that native code has made; it may enter native code again. What a panic and Goexit in fn do, the package comment says; on a thread
// without an entry below they end the process.
func NewCallback(fn func(*Callback)) *CallbackHandle {
	if fn == nil {
		panic("BUG: guard: nil callback function")
	}
	return &CallbackHandle{id: callbacks.add(fn)}
}

// Keep marks a callback that stays for the life of the process, so that [LiveCallbacks] does not count it. It must not be released after. Returns h.
func (h *CallbackHandle) Keep() *CallbackHandle {
	h.once.Do(func() { callbacks.live.Add(-1) })
	return h
}

// LiveCallbacks is the number of callbacks made and not released or kept, in the process.
func LiveCallbacks() int { return int(callbacks.live.Load()) }

// ID is the number by which a [ReleasedError] names the callback.
func (h *CallbackHandle) ID() uint64 { return h.id }

// Release ends the callback. Calls that are running go on; later ones end their entry with a [*ReleasedError]. Code that was made from the handle may
// stay for that or be freed. Further calls of Release do nothing.
func (h *CallbackHandle) Release() { h.once.Do(func() { callbacks.remove(h.id) }) }

// CodeSize is the length of [CallbackHandle.Code] in bytes.
const CodeSize = 32

// Code returns the callback's entry thunk: position-independent machine code that a C function pointer to it enters. Place it 16-aligned in executable memory
// and free that memory only when native code cannot call it any more. The thunk only jumps, so it never stands on a call stack and needs no unwind information.
func (h *CallbackHandle) Code() []byte { return thunk(h.id, trampolineAddress()) }

// Closure returns the callback as a C function pointer and its first argument: fn(arg, ...) runs the callback with Callback.Int[0] == arg. It is for C
// interfaces that hand a user pointer back, and needs no memory for code.
func (h *CallbackHandle) Closure() (fn, arg uintptr) { return closureAddress(), uintptr(h.id) }

// thunk uses the two registers that the psABI (3.2.3, figure 3.4) leaves free at a call; r10, the static chain, is unused by C function pointers.
func thunk(id uint64, target uintptr) []byte {
	code := make([]byte, 0, CodeSize)
	code = append(code, 0xf3, 0x0f, 0x1e, 0xfa) // endbr64
	code = append(code, 0x49, 0xbb)             // movabs $id,%r11
	code = binary.LittleEndian.AppendUint64(code, id)
	code = append(code, 0x49, 0xba) // movabs $target,%r10
	code = binary.LittleEndian.AppendUint64(code, uint64(target))
	code = append(code, 0x41, 0xff, 0xe2) // jmp *%r10
	for len(code) < CodeSize {
		code = append(code, 0xcc)
	}
	return code
}

func (t *callbackTable) add(fn func(*Callback)) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var index uint32
	var places []*callbackPlace
	if p := t.places.Load(); p != nil {
		places = *p
	}
	if n := len(t.free); n > 0 {
		index, t.free = t.free[n-1], t.free[:n-1]
	} else {
		// Appending in place is safe: readers of the shorter slice never look past its length.
		index = uint32(len(places))
		grown := append(places, new(callbackPlace))
		t.places.Store(&grown)
		places = grown
	}
	place := places[index]
	place.generation++
	id := uint64(place.generation)<<32 | uint64(index)
	place.entry.Store(&callbackEntry{id: id, fn: fn})
	t.live.Add(1)
	return id
}

func (t *callbackTable) remove(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	index := uint32(id)
	(*t.places.Load())[index].entry.Store(nil)
	t.free = append(t.free, index)
	t.live.Add(-1)
}

// find returns the function of a live callback, nil for a released or invented id.
func (t *callbackTable) find(id uint64) func(*Callback) {
	p := t.places.Load()
	if p == nil || uint64(uint32(id)) >= uint64(len(*p)) {
		return nil
	}
	if e := (*p)[uint32(id)].entry.Load(); e != nil && e.id == id {
		return e.fn
	}
	return nil
}
