package stubtable

import (
	"sync/atomic"
	"unsafe"
)

// storeRelease stores v to a slot. Go's atomic store is sequentially consistent,
// which is stronger than the release order needed.
func storeRelease(slot, v uint64) { atomic.StoreUint64(slotPointer(slot), v) }

// loadAcquire loads a slot.
func loadAcquire(slot uint64) uint64 { return atomic.LoadUint64(slotPointer(slot)) }

// slotPointer turns the address of a slot, which is never Go memory, into a pointer.
func slotPointer(slot uint64) *uint64 {
	p := uintptr(slot)
	return *(**uint64)(unsafe.Pointer(&p))
}
