package guard

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// stubSize is the size and alignment of stubs: the word that a miss finds lies in its stub (stubtable's package comment).
const stubSize = 16

// MissHandler answers the misses of the stubs in a range of addresses. It lives until [MissHandler.Release].
type MissHandler struct {
	lo, hi uint64 // [lo, hi)
	fn     func(stub uint64) (target uint64, err error)
	once   sync.Once
}

// A missTable is the handlers of the process, sorted by address. Readers take no lock: a changed table is a new one.
type missTable struct {
	handlers atomic.Pointer[[]*MissHandler]
	mu       sync.Mutex // of those who replace it
}

var misses missTable

// HandleMisses makes fn answer the misses of stubs in [lo, hi), a range that no other handler of the process has. fn gets the stub's address and
// returns the address to go on at, or the error that ends the entry with a [*MissError].
//
// The best address is that of the stub itself, after it has been redirected: the call then reads the slot once more when fn has returned, so that it
// cannot arrive in a body that was replaced meanwhile. Nothing else holds another address from fn's return until the thread has arrived there; it must stay
// callable of itself.
//
// fn runs on the thread of the call, between the caller and the function: on many threads at once, also on ones that native code has made. It may take
// long and enter native code. A panic or Goexit in it does what it does in a callback. On a thread without an entry an error ends the process.
func HandleMisses(lo, hi uint64, fn func(stub uint64) (target uint64, err error)) *MissHandler {
	if fn == nil || lo >= hi {
		panic(fmt.Sprintf("BUG: guard: handler %p of the misses in [%#x, %#x)", fn, lo, hi))
	}
	h := &MissHandler{lo: lo, hi: hi, fn: fn}
	misses.add(h)
	return h
}

// Release ends the handler. Misses that are running go on; later ones fail with [ErrNoEngine]. Further calls do nothing.
func (h *MissHandler) Release() { h.once.Do(func() { misses.remove(h) }) }

// LiveMissHandlers is the number of handlers made and not released, in the process.
func LiveMissHandlers() int { return len(misses.load()) }

func (t *missTable) add(h *MissHandler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.load()
	at, _ := slices.BinarySearchFunc(old, h.lo, byLow)
	if at > 0 && old[at-1].hi > h.lo || at < len(old) && old[at].lo < h.hi {
		panic(fmt.Sprintf("BUG: guard: the misses in [%#x, %#x) have a handler", h.lo, h.hi))
	}
	table := slices.Insert(slices.Clone(old), at, h)
	t.handlers.Store(&table)
}

func (t *missTable) remove(h *MissHandler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := slices.DeleteFunc(slices.Clone(t.load()), func(o *MissHandler) bool { return o == h })
	t.handlers.Store(&table)
}

func (t *missTable) load() []*MissHandler {
	if p := t.handlers.Load(); p != nil {
		return *p
	}
	return nil
}

// answer asks the handler of the stub's range.
func (t *missTable) answer(stub uint64) (target uint64, err error) {
	handlers := t.load()
	at, exact := slices.BinarySearchFunc(handlers, stub, byLow)
	if !exact {
		at--
	}
	if at < 0 || stub >= handlers[at].hi {
		return 0, ErrNoEngine
	}
	target, err = handlers[at].fn(stub)
	if target == 0 && err == nil {
		panic(fmt.Sprintf("BUG: guard: the handler of stub %#x gave neither an address nor an error", stub))
	}
	return target, err
}

func byLow(h *MissHandler, address uint64) int { return cmp.Compare(h.lo, address) }
