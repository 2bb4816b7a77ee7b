package livejit

import (
	"context"
	"math"

	"livejit/internal/guard"
)

// bindFast binds the signatures that need no reflection when they are called, which is
// most of those in practice, and reports whether target was one. The caller has checked
// that target fits.
func bindFast(f *Function, target any) bool {
	switch t := target.(type) {
	case *func():
		*t = func() { f.must() }
	case *func() error:
		*t = func() error { _, err := f.word(); return err }
	case *func() int64:
		*t = func() int64 { return f.must() }
	case *func() (int64, error):
		*t = func() (int64, error) { return f.word() }
	case *func(int64) int64:
		*t = func(a int64) int64 { return f.must(a) }
	case *func(int64) (int64, error):
		*t = func(a int64) (int64, error) { return f.word(a) }
	case *func(int64, int64) int64:
		*t = func(a, b int64) int64 { return f.must(a, b) }
	case *func(int64, int64) (int64, error):
		*t = func(a, b int64) (int64, error) { return f.word(a, b) }
	case *func(int32) int32:
		*t = func(a int32) int32 { return int32(f.must(int64(a))) }
	case *func(int32) (int32, error):
		*t = func(a int32) (int32, error) { r, err := f.word(int64(a)); return int32(r), err }
	case *func(int32, int32) int32:
		*t = func(a, b int32) int32 { return int32(f.must(int64(a), int64(b))) }
	case *func(int32, int32) (int32, error):
		*t = func(a, b int32) (int32, error) { r, err := f.word(int64(a), int64(b)); return int32(r), err }
	case *func(float64) float64:
		*t = func(a float64) float64 {
			r, err := f.double(a)
			if err != nil {
				panic(err)
			}
			return r
		}
	case *func(float64) (float64, error):
		*t = func(a float64) (float64, error) { return f.double(a) }
	default:
		return false
	}
	return true
}

// word calls f with integers in registers and returns rax.
func (f *Function) word(args ...int64) (int64, error) {
	frame := guard.GetFrame(0)
	for i, a := range args {
		frame.Int[i] = uint64(a)
	}
	err := f.enter(context.Background(), frame)
	var result int64
	if err == nil {
		result = int64(frame.RetInt[0])
	}
	frame.Put()
	return result, err
}

// must is word for functions without an error result.
func (f *Function) must(args ...int64) int64 {
	r, err := f.word(args...)
	if err != nil {
		panic(err)
	}
	return r
}

// double calls f with a float64 and returns xmm0.
func (f *Function) double(a float64) (float64, error) {
	frame := guard.GetFrame(0)
	frame.Float[0] = math.Float64bits(a)
	err := f.enter(context.Background(), frame)
	result := math.Float64frombits(frame.RetFloat[0])
	frame.Put()
	if err != nil {
		return 0, err
	}
	return result, nil
}
