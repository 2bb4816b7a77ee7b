package guard

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"livejit/internal/guard/internal/guardtest"
)

// TestHammer calls, calls back, throws, panics, lands, exits goroutines and makes and releases callbacks from 8 goroutines while the collector runs.
func TestHammer(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	stop := make(chan bool)
	var collector, wg sync.WaitGroup
	collector.Add(1)
	go func() {
		defer collector.Done()
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	double := callback(t, func(c *Callback) { grow(5); c.RetInt[0] = 2 * c.Int[0] })
	boom := callback(t, func(c *Callback) { grow(5); panic(c.Int[0]) })
	quit := callback(t, func(c *Callback) { grow(5); runtime.Goexit() })
	relay := callback(t, func(c *Callback) {
		if _, err := enter("swallow", boom, address(guardtest.Malloc(1))); err != nil {
			panic(err)
		}
	})
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			log := guardtest.Malloc(1)
			for i := range rounds {
				check := func(ok bool, r uint64, err error) {
					if !ok {
						t.Errorf("round %d: %d, %v, log %d", i, r, err, log[0])
					}
				}
				log[0] = 0
				switch i % 7 {
				case 0:
					r, err := enter("call_with_destructors", double, 3, address(log))
					check(r == 3 && err == nil && log[0] == 4, r, err)
				case 1:
					r, err := enter("call_with_destructors", boom, 3, address(log))
					var p *PanicError
					check(errors.As(err, &p) && p.Value == uint64(0) && log[0] == 4, r, err)
				case 2:
					r, err := enter("throw_kind", 0)
					var e *ExceptionError
					check(errors.As(err, &e), r, err)
				case 3:
					r, err := enter("land_in_catch", uint64(LandAddress()), uint64(i))
					var e *LandingError
					check(errors.As(err, &e) && e.Detail == uint64(i), r, err)
				case 4:
					done := make(chan bool)
					go func() {
						defer close(done)
						enter("call_with_destructors", quit, 3, address(log))
					}()
					<-done
					check(log[0] == 4, 0, nil)
				case 5:
					r, err := enter("typed_catch", relay, address(log))
					var p, inner *PanicError
					check(errors.As(err, &p) && errors.As(p.Value.(error), &inner) && inner.Value == uint64(1) && log[0] == 101, r, err)
				case 6:
					h := NewCallback(func(c *Callback) { c.RetInt[0] = 7 })
					fn, arg := h.Closure()
					f := GetFrame(0)
					f.Fn, f.Int[0] = uint64(fn), uint64(arg)
					err := Call(f)
					check(err == nil && f.RetInt[0] == 7, f.RetInt[0], err)
					h.Release()
					err = Call(f)
					var e *ReleasedError
					check(errors.As(err, &e), 0, err)
					f.Put()
				}
			}
		}()
	}
	wg.Wait()
	close(stop)
	collector.Wait()
}

// BenchmarkCrossings compares the ways between Go and native code in one run.
func BenchmarkCrossings(b *testing.B) {
	empty := guardtest.Address("empty")
	b.Run("empty cgo call", func(b *testing.B) {
		for i := range b.N {
			guardtest.Empty(int64(i))
		}
	})
	b.Run("cgo call of a pointer", func(b *testing.B) {
		for i := range b.N {
			guardtest.PlainCgo(empty, int64(i))
		}
	})
	b.Run("Call", func(b *testing.B) {
		f := NewFrame(0)
		f.Fn = empty
		for i := range b.N {
			f.Int[0] = uint64(i)
			Call(f)
		}
	})
	b.Run("Call with pooled frame", func(b *testing.B) {
		for i := range b.N {
			f := GetFrame(0)
			f.Fn, f.Int[0] = empty, uint64(i)
			Call(f)
			f.Put()
		}
	})
	fn := callback(b, func(c *Callback) { c.RetInt[0] = c.Int[0] })
	b.Run("Call and callback", func(b *testing.B) {
		f := NewFrame(0)
		f.Fn = fn
		for range b.N {
			Call(f)
		}
	})
	b.Run("C++ exception", func(b *testing.B) {
		f := NewFrame(0)
		f.Fn, f.Int[0] = guardtest.Address("throw_kind"), 1
		for range b.N {
			Call(f)
		}
	})
	boom := callback(b, func(c *Callback) { panic(1) })
	b.Run("panic", func(b *testing.B) {
		f := NewFrame(0)
		f.Fn = boom
		for range b.N {
			Call(f)
		}
	})
}
