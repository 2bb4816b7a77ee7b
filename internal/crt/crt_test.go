package crt

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"livejit/internal/crt/internal/crttest"
	"livejit/internal/guard"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("CRT_TEST_CHILD"); child != "" {
		runChild(child)
	}
	status := m.Run()
	modules, blocks := LiveTLS()
	dsos, handlers := LiveDSOs()
	if modules+blocks+dsos+handlers+guard.LiveCallbacks() != 0 {
		println("leaked: TLS modules", modules, "blocks", blocks, "DSOs", dsos, "handlers", handlers, "callbacks", guard.LiveCallbacks())
		status = 1
	}
	os.Exit(status)
}

func call(t testing.TB, fn uint64, args ...uint64) uint64 {
	t.Helper()
	f := guard.NewFrame(max(0, len(args)-6))
	f.Fn = fn
	n := copy(f.Int[:], args)
	copy(f.Stack(), args[n:])
	if err := guard.Call(f); err != nil {
		t.Fatal(err)
	}
	return f.RetInt[0]
}

func subject(t testing.TB, name string, args ...uint64) uint64 {
	t.Helper()
	return call(t, crttest.Address(name), args...)
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

func getAddr() uint64 { return uint64(Symbols()["__tls_get_addr"].Addr) }

func newTLS(t testing.TB, init []byte, size, align uint64) TLSModule {
	t.Helper()
	m, err := NewTLS(init, size, align)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTLSThreads(t *testing.T) {
	for _, tc := range []struct{ init, size, align uint64 }{{100, 300, 64}, {0, 1, 1}, {8, 8, 8}, {1, 5000, 4096}, {3, 3, 0}} {
		image := crttest.Malloc(int(tc.init) + 1)
		for i := range tc.init {
			image[i] = byte(i*7 + 1)
		}
		m := newTLS(t, image[:tc.init], tc.size, tc.align)
		if bad := subject(t, "tls_threads", getAddr(), m.ID, address(image), tc.init, tc.size, max(tc.align, 1), 8, 20); bad != 0 {
			t.Errorf("%+v: %d failures", tc, bad)
		}
		if _, blocks := LiveTLS(); blocks != 0 {
			t.Errorf("%d blocks outlive their threads", blocks)
		}
		m.Release()
	}
}

func TestTLSEmptyBlock(t *testing.T) {
	m := newTLS(t, nil, 0, 16)
	defer m.Release()
	index := crttest.Malloc(16)
	binary.LittleEndian.PutUint64(index, m.ID)
	if p := call(t, getAddr(), address(index)); p == 0 || p%16 != 0 {
		t.Errorf("%#x", p)
	}
}

func TestTLSAtThreadExit(t *testing.T) {
	m := newTLS(t, nil, 8, 8)
	defer m.Release()
	for range 10 {
		if seen := subject(t, "tls_at_thread_exit", getAddr(), m.ID); seen != 7 {
			t.Fatalf("%d of 7 destructors saw the thread's value", seen)
		}
	}
	if _, blocks := LiveTLS(); blocks != 0 {
		t.Errorf("%d blocks outlive their threads", blocks)
	}
}

func TestTLSReleaseUnderThreads(t *testing.T) {
	m := newTLS(t, []byte{1}, 64, 64)
	other := newTLS(t, nil, 64, 64)
	h := subject(t, "tls_holders_start", getAddr(), m.ID, 5)
	h2 := subject(t, "tls_holders_start", getAddr(), other.ID, 3)
	if _, blocks := LiveTLS(); blocks != 8 {
		t.Errorf("%d blocks", blocks)
	}
	m.Release()
	if _, blocks := LiveTLS(); blocks != 3 {
		t.Errorf("%d blocks after release", blocks)
	}
	// The number is used again and the old threads' entries are clear.
	next := newTLS(t, []byte{9}, 1, 1)
	if next.ID != m.ID {
		t.Logf("number %#x not reused: %#x", m.ID, next.ID)
	}
	subject(t, "tls_holders_end", h)
	subject(t, "tls_holders_end", h2)
	next.Release()
	other.Release()
}

func TestTLSCalls(t *testing.T) {
	value := make([]byte, 16)
	binary.LittleEndian.PutUint64(value[8:], 12345)
	m := newTLS(t, value, 16, 8)
	defer m.Release()
	index := crttest.Malloc(16)
	binary.LittleEndian.PutUint64(index, m.ID)
	binary.LittleEndian.PutUint64(index[8:], 8)
	for _, misaligned := range []uint64{1, 0, 1} {
		if v := subject(t, "tls_read", getAddr(), address(index), misaligned); v != 12345 {
			t.Errorf("misaligned %d: %d", misaligned, v)
		}
	}
}

func TestTLSHostModule(t *testing.T) {
	w := crttest.Malloc(24)
	index := crttest.Malloc(16)
	module := subject(t, "host_module", address(w), address(w[8:]), address(w[16:]))
	binary.LittleEndian.PutUint64(index, module)
	copy(index[8:], w[:8])
	if v := subject(t, "tls_read", getAddr(), address(index), 0); int32(v) != 77 {
		t.Error(v)
	}
}

func TestTLSDesc(t *testing.T) {
	static, dynamic := TLSDescResolvers()
	m := newTLS(t, []byte{5}, 4096, 64)
	defer m.Release()
	w, index := crttest.Malloc(24), crttest.Malloc(16)
	desc, result := crttest.Malloc(16), crttest.Malloc(8)
	module := subject(t, "host_module", address(w), address(w[8:]), address(w[16:]))
	put := func(resolver uintptr, arg, module, offset uint64) {
		binary.LittleEndian.PutUint64(desc, uint64(resolver))
		binary.LittleEndian.PutUint64(desc[8:], arg)
		binary.LittleEndian.PutUint64(index, module)
		binary.LittleEndian.PutUint64(index[8:], offset)
	}
	check := func(what, how string, host bool) {
		t.Helper()
		if bad := subject(t, how, address(desc), address(result)); bad != 0 {
			t.Errorf("%s, %s: register state byte %d is not preserved", what, how, bad)
		}
		if got, want := binary.LittleEndian.Uint64(result), binary.LittleEndian.Uint64(w[16:]); host && how == "tlsdesc_call" && got != want {
			t.Errorf("%s: %#x, want %#x", what, got, want)
		}
		if binary.LittleEndian.Uint64(result)%64 != 0 && !host {
			t.Errorf("%s: %#x", what, result)
		}
	}
	put(dynamic, address(index), m.ID, 128)
	check("first access", "tlsdesc_on_new_thread", false)
	for range 3 { // each on a thread that may be new to the module, then on one that is not
		check("dynamic", "tlsdesc_call", false)
	}
	put(dynamic, address(index), module, binary.LittleEndian.Uint64(w))
	copy(index[8:], w[:8])
	subject(t, "host_module", address(w), address(w[8:]), address(w[16:]))
	check("host", "tlsdesc_on_new_thread", true)
	put(static, binary.LittleEndian.Uint64(w[8:]), 0, 0)
	check("static", "tlsdesc_on_new_thread", true)
}

func TestTLSErrors(t *testing.T) {
	var e *TLSError
	for _, tc := range []struct {
		init        []byte
		size, align uint64
	}{{nil, 8, 3}, {make([]byte, 9), 8, 8}, {nil, 8, 1 << 40}, {nil, 1 << 60, 8}} {
		if _, err := NewTLS(tc.init, tc.size, tc.align); !errors.As(err, &e) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// TestTLSHammer makes, uses and releases modules while threads come and go.
func TestTLSHammer(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			image := crttest.Malloc(8)
			for i := range 30 {
				image[0] = byte(g*31 + i)
				m := newTLS(t, image[:1], 16, 64)
				if bad := subject(t, "tls_threads", getAddr(), m.ID, address(image), 1, 16, 64, 2, 3); bad != 0 {
					t.Errorf("%d failures", bad)
				}
				m.Release()
			}
		}()
	}
	wg.Wait()
}

func TestBuiltins(t *testing.T) {
	s := Symbols()
	bf16 := func(name string, put func(*guard.Frame)) uint32 {
		f := guard.NewFrame(2)
		f.Fn = uint64(s[name].Addr)
		put(f)
		if err := guard.Call(f); err != nil {
			t.Fatal(err)
		}
		return uint32(f.RetFloat[0])
	}
	for _, tc := range []struct {
		in   float64
		want uint32
	}{
		{1, 0x3f80}, {-2.5, 0xc020}, {math.Inf(1), 0x7f80}, {0, 0}, {math.Copysign(0, -1), 0x8000}, {1e300, 0x7f80}, {-1e300, 0xff80},
		{1 + 0x1p-8, 0x3f80}, {1 + 3*0x1p-8, 0x3f82}, {1 + 0x1p-8 + 0x1p-40, 0x3f81}, {1 + 0x1p-8 - 0x1p-40, 0x3f80}, {-(1 + 0x1p-8 + 0x1p-40), 0xbf81}, {1e-320, 0},
	} {
		if got := bf16("__truncdfbf2", func(f *guard.Frame) { f.Float[0] = math.Float64bits(tc.in) }); got != tc.want {
			t.Errorf("__truncdfbf2(%v) is %#x, want %#x", tc.in, got, tc.want)
		}
		if f32 := float32(tc.in); float64(f32) == tc.in {
			if got := bf16("__truncsfbf2", func(f *guard.Frame) { f.Float[0] = uint64(math.Float32bits(f32)) }); got != tc.want {
				t.Errorf("__truncsfbf2(%v) is %#x, want %#x", tc.in, got, tc.want)
			}
		}
	}
	if got := bf16("__truncdfbf2", func(f *guard.Frame) { f.Float[0] = math.Float64bits(math.NaN()) }); got&0x7fff <= 0x7f80 {
		t.Errorf("NaN becomes %#x", got)
	}
	if got := bf16("__truncxfbf2", func(f *guard.Frame) { copy(f.Stack(), []uint64{0xc000000000000000, 0x4000}) }); got != 0x4040 {
		t.Errorf("__truncxfbf2(3) is %#x", got)
	}
	if got := bf16("__extendbfsf2", func(f *guard.Frame) { f.Float[0] = 0x4040 }); got != math.Float32bits(3) {
		t.Errorf("__extendbfsf2: %#x", got)
	}
	if got := bf16("__gnu_h2f_ieee", func(f *guard.Frame) { f.Int[0] = 0x3e00 }); got != math.Float32bits(1.5) {
		t.Errorf("__gnu_h2f_ieee: %#x", got)
	}
	overflow := crttest.Malloc(8)
	f := guard.NewFrame(0)
	f.Fn = uint64(s["__muloti4"].Addr)
	f.Int = [6]uint64{1 << 63, 0, 2, 0, address(overflow)}
	if err := guard.Call(f); err != nil || f.RetInt != [2]uint64{0, 1} || overflow[0] != 0 {
		t.Error(f.RetInt, overflow, err)
	}
	f.Int = [6]uint64{0, 1 << 62, 4, 0, address(overflow)}
	if err := guard.Call(f); err != nil || overflow[0] != 1 {
		t.Error(f.RetInt, overflow, err)
	}
	for name, a := range s {
		if a.Addr == 0 || strings.HasPrefix(name, "lj_") {
			t.Errorf("%s at %#x", name, a.Addr)
		}
	}
}
