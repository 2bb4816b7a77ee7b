package unwind_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"livejit/internal/stubtable"
	"livejit/internal/unwind"
	"livejit/internal/unwind/internal/unwindtest"
	"livejit/internal/vmem"
)

// frame calls its first argument with its second, from a frame of its own:
//
//	push %rbp; mov %rsp,%rbp; mov %rdi,%rax; mov %rsi,%rdi; call *%rax; pop %rbp; ret
var frame = []byte{0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3}

// frameCFI: advance 1; CFA = rsp + 16; rbp at CFA - 16; advance 3; CFA = rbp + 16; advance 9; CFA = rsp + 8.
var frameCFI = []byte{0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x49, 0x0c, 7, 8}

// afterCall is the offset of the return address in frame.
const afterCall = 12

func (w *workshop) addFrame(id uint32) placed {
	w.t.Helper()
	return w.add(id, frame, part{begin: 0, end: uint32(len(frame)), cfi: frameCFI})
}

// returning is code that returns a constant: mov $v,%eax; ret.
func returning(v uint32) []byte {
	return []byte{0xb8, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), 0xc3}
}

func TestExceptionCrossesFrame(t *testing.T) {
	w := newWorkshop(t)
	for i := range 100 {
		f := w.addFrame(uint32(i))
		if got := unwindtest.Call(f.start, 21); got != 42 {
			t.Fatalf("call returned %d", got)
		}
		if got := unwindtest.ThrowThrough(f.start, 1000+i); got != 1000+i {
			t.Fatalf("caught %d", got)
		}
		w.r.Remove(f.start)
		w.free(f)
	}
	// Where there is no JIT code on the way, all is as ever.
	if got := unwindtest.ThrowThrough(unwindtest.HostTrampoline(), 7); got != 7 {
		t.Errorf("caught %d", got)
	}
}

func TestBacktraceCrossesFrame(t *testing.T) {
	w := newWorkshop(t)
	f := w.addFrame(1)
	trace := unwindtest.Backtrace(f.start)
	i := slices.Index(trace, f.start+afterCall)
	if i < 0 || i+1 >= len(trace) {
		t.Fatalf("no frame of %#x with a caller in %#x", f.start, trace)
	}
	if c, ok := unwind.Find(trace[i] - 1); !ok || c.Start != f.start || c.ID != 1 {
		t.Errorf("%+v %v", c, ok)
	}
	w.r.Remove(f.start)
	// Without the region's word the unwinder ends at the frame.
	if trace = unwindtest.Backtrace(f.start); slices.Index(trace, f.start+afterCall) != len(trace)-1 {
		t.Errorf("trace %#x goes on beyond %#x", trace, f.start)
	}
}

// Stubs lead where their slots say, in each mode of memory, and to the common miss entry, here a trap, when they lead nowhere.
func TestStubsExecute(t *testing.T) {
	for _, mode := range []vmem.Mode{vmem.MemFD, vmem.Remap, vmem.Protect} {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorkshopIn(t, mode)
			miss := w.add(1<<20, []byte{0x0f, 0x0b}) // ud2
			table, err := stubtable.New(w.a, miss.start)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			for i := range uint32(600) {
				s, err := table.Alloc()
				if err != nil {
					t.Fatal(err)
				}
				f := w.add(i, returning(i))
				table.Redirect(s, f.start)
				if got := unwindtest.Call(s.Addr, 0); got != uint64(i) {
					t.Fatalf("stub %d returned %d", i, got)
				}
				if i%50 != 0 {
					continue
				}
				table.Free(s)
				pc, word, top := unwindtest.TrapPC(s.Addr)
				if pc != miss.start || table.Target(s) != table.Miss(s) || word&^(stubtable.StubSize-1) != s.Addr {
					t.Errorf("stub %+v trapped at %#x with %#x on the stack", s, pc, word)
				}
				if lo, hi := unwindtest.AfterTrapCall(); top <= lo || top >= hi {
					t.Errorf("return address %#x is not in %#x-%#x", top, lo, hi)
				}
			}
		})
	}
}

// Threads call through a stub while another redirects it to new code all the time:
// each call ends in a version that was live when the call began, or later.
func TestRedirectWhileCalling(t *testing.T) {
	w := newWorkshop(t)
	table, err := stubtable.New(w.a, 0) // there are no misses
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	s, err := table.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	const versions = 2000
	var published atomic.Uint64
	publish := func(n uint32) {
		f := w.add(n, returning(n))
		table.Redirect(s, f.start)
		published.Store(uint64(n))
	}
	publish(1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				before := published.Load()
				got := unwindtest.Call(s.Addr, 0)
				if after := published.Load(); got < before || got > after+1 {
					t.Errorf("version %d ran between %d and %d", got, before, after)
				}
				if before == versions {
					return
				}
			}
		})
	}
	for n := uint32(2); n <= versions; n++ {
		publish(n)
	}
	wg.Wait()
}
