package livejit

import (
	"math"
	"unsafe"

	"livejit/internal/guard"
)

// fastCallback returns the body of a callback whose signature needs no reflection when
// native code calls it, nil for any other. Arguments and results are in integer registers, of which a
// narrow argument fills the low part only (psABI 3.2.3: the rest is undefined).
func fastCallback(fn any) func(*guard.Callback) {
	switch f := fn.(type) {
	case func():
		return func(*guard.Callback) { f() }
	case func() int64:
		return func(c *guard.Callback) { c.RetInt[0] = uint64(f()) }
	case func(int64):
		return func(c *guard.Callback) { f(int64(c.Int[0])) }
	case func(int64) int64:
		return func(c *guard.Callback) { c.RetInt[0] = uint64(f(int64(c.Int[0]))) }
	case func(int64, int64):
		return func(c *guard.Callback) { f(int64(c.Int[0]), int64(c.Int[1])) }
	case func(int64, int64) int64:
		return func(c *guard.Callback) { c.RetInt[0] = uint64(f(int64(c.Int[0]), int64(c.Int[1]))) }
	case func(int32):
		return func(c *guard.Callback) { f(int32(c.Int[0])) }
	case func(int32) int32:
		return func(c *guard.Callback) { c.RetInt[0] = uint64(int64(f(int32(c.Int[0])))) }
	case func(int32, int32) int32:
		return func(c *guard.Callback) { c.RetInt[0] = uint64(int64(f(int32(c.Int[0]), int32(c.Int[1])))) }
	case func(unsafe.Pointer):
		return func(c *guard.Callback) { f(nativePointer(c.Int[0])) }
	case func(unsafe.Pointer, int64):
		return func(c *guard.Callback) { f(nativePointer(c.Int[0]), int64(c.Int[1])) }
	case func(float64) float64:
		return func(c *guard.Callback) { c.RetFloat[0] = float64Bits(f(math.Float64frombits(c.Float[0]))) }
	}
	return nil
}
