package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"livejit"
)

// movingHeap is a heap of which every allocation moves every object. An object is a word, its length in words after that and in the high half how many of them are
// pointers, which come first.
type movingHeap struct {
	t      *testing.T
	e      *livejit.Engine
	to     []byte // the objects
	from   []byte // where they were: neither readable nor writable
	used   uintptr
	global uintptr // a root that is no frame's
	err    error   // of the walk

	collections, roots, derived int
	frames                      []string // of the last walk
}

const semispace = 1 << 20

func newMovingHeap(t *testing.T, options ...livejit.Option) *movingHeap {
	t.Helper()
	h := &movingHeap{t: t, e: newEngine(t, options...)}
	for _, space := range []*[]byte{&h.to, &h.from} {
		var err error
		if *space, err = syscall.Mmap(-1, 0, semispace, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Munmap(*space) })
	}
	if err := h.e.Define("alloc", h.alloc); err != nil {
		t.Fatal(err)
	}
	return h
}

func startOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func word(at uintptr) *uintptr { return *(**uintptr)(unsafe.Pointer(&at)) }

// alloc returns a new object of zeros.
func (h *movingHeap) alloc(words, pointers int64) uintptr {
	h.collect()
	return h.place(words, pointers)
}

func (h *movingHeap) place(words, pointers int64) uintptr {
	o := startOf(h.to) + h.used
	h.used += 8 * uintptr(words+1)
	if h.used > semispace {
		panic("the heap is full")
	}
	clear(unsafe.Slice(word(o), words+1))
	*word(o) = uintptr(words | pointers<<32)
	return o
}

// collect copies all that can be reached from the frames into the other space.
func (h *movingHeap) collect() {
	h.collections++
	h.frames = nil
	old := h.to
	h.to, h.from = h.from, old
	if err := syscall.Mprotect(h.to, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		h.t.Fatal(err)
	}
	h.used = 0
	moved := map[uintptr]uintptr{}
	move := func(o uintptr) uintptr {
		if o < startOf(old) || o >= startOf(old)+semispace {
			panic(fmt.Sprintf("root %#x points to no object", o))
		}
		if at, ok := moved[o]; ok {
			return at
		}
		at := h.place(int64(uint32(*word(o))), int64(*word(o)>>32))
		copy(unsafe.Slice(word(at), uint32(*word(o))+1), unsafe.Slice(word(o), uint32(*word(o))+1))
		moved[o] = at
		return at
	}
	h.err = h.e.WalkStack(func(f *livejit.StackFrame) error {
		l := f.Location()
		h.frames = append(h.frames, fmt.Sprintf("%s@%d", l.Function, l.Version))
		for _, r := range f.Roots {
			h.roots++
			if r.Slot != r.Base {
				h.derived++
			}
		}
		f.Relocate(move)
		return nil
	})
	if h.err != nil {
		panic(h.err)
	}
	if h.global != 0 {
		h.global = move(h.global)
	}
	for at := startOf(h.to); at < startOf(h.to)+h.used; at += 8 * uintptr(uint32(*word(at))+1) {
		for i := range *word(at) >> 32 {
			if field := word(at + 8*(i+1)); *field != 0 {
				*field = move(*field)
			}
		}
	}
	if err := syscall.Mprotect(old, syscall.PROT_NONE); err != nil {
		h.t.Fatal(err)
	}
}

func (h *movingHeap) call(name string, want int64, args ...any) {
	h.t.Helper()
	got, err := h.e.Call(background, name, args...)
	if err != nil {
		h.t.Fatalf("%s: %+v", name, err)
	}
	if got != want {
		h.t.Errorf("%s: %v, want %d", name, got, want)
	}
}

// lists: objects are pairs of a pointer and a number.
const lists = `
declare ptr addrspace(1) @alloc(i64, i64)
define ptr addrspace(1) @cons(i64 %v, ptr addrspace(1) %next) gc "statepoint-example" {
  %o = call ptr addrspace(1) @alloc(i64 2, i64 1)
  %p = getelementptr i64, ptr addrspace(1) %o, i64 1
  store ptr addrspace(1) %next, ptr addrspace(1) %p
  %q = getelementptr i64, ptr addrspace(1) %o, i64 2
  store i64 %v, ptr addrspace(1) %q
  ret ptr addrspace(1) %o
}
define i64 @sum(ptr addrspace(1) %list) gc "statepoint-example" {
  br label %loop
loop:
  %l = phi ptr addrspace(1) [%list, %0], [%next, %more]
  %s = phi i64 [0, %0], [%t, %more]
  %end = icmp eq ptr addrspace(1) %l, null
  br i1 %end, label %done, label %more
more:
  %p = getelementptr i64, ptr addrspace(1) %l, i64 1
  %next = load ptr addrspace(1), ptr addrspace(1) %p
  %q = getelementptr i64, ptr addrspace(1) %l, i64 2
  %v = load i64, ptr addrspace(1) %q
  %t = add i64 %s, %v
  br label %loop
done:
  ret i64 %s
}
; A variable on the stack, as front ends make them.
define i64 @loop(i64 %n) gc "statepoint-example" {
  %list = alloca ptr addrspace(1)
  store ptr addrspace(1) null, ptr %list
  br label %loop
loop:
  %i = phi i64 [0, %0], [%j, %loop]
  %j = add i64 %i, 1
  %old = load ptr addrspace(1), ptr %list
  %new = call ptr addrspace(1) @cons(i64 %j, ptr addrspace(1) %old)
  store ptr addrspace(1) %new, ptr %list
  %end = icmp eq i64 %j, %n
  br i1 %end, label %done, label %loop
done:
  %l = load ptr addrspace(1), ptr %list
  %s = call i64 @sum(ptr addrspace(1) %l)
  ret i64 %s
}
; n frames with a root each.
define i64 @deep(i64 %n) gc "statepoint-example" {
  %end = icmp eq i64 %n, 0
  br i1 %end, label %done, label %more
more:
  %l = call ptr addrspace(1) @cons(i64 %n, ptr addrspace(1) null)
  %m = sub i64 %n, 1
  %rest = call i64 @deep(i64 %m)
  %mine = call i64 @sum(ptr addrspace(1) %l)
  %s = add i64 %rest, %mine
  ret i64 %s
done:
  ret i64 0
}
; A tail call for each step of a loop, with a root as argument.
define i64 @tail(i64 %n, ptr addrspace(1) %list) gc "statepoint-example" {
  %end = icmp eq i64 %n, 0
  br i1 %end, label %done, label %more
more:
  %l = call ptr addrspace(1) @cons(i64 %n, ptr addrspace(1) %list)
  %m = sub i64 %n, 1
  %r = musttail call i64 @tail(i64 %m, ptr addrspace(1) %l)
  ret i64 %r
done:
  %s = call i64 @sum(ptr addrspace(1) %list)
  ret i64 %s
}
; A vector of pointers that lives over a call.
define i64 @vector(i64 %n) gc "statepoint-example" {
  %a = call ptr addrspace(1) @cons(i64 1, ptr addrspace(1) null)
  %b = call ptr addrspace(1) @cons(i64 2, ptr addrspace(1) null)
  %v1 = insertelement <2 x ptr addrspace(1)> poison, ptr addrspace(1) %a, i64 0
  %v2 = insertelement <2 x ptr addrspace(1)> %v1, ptr addrspace(1) %b, i64 1
  %garbage = call ptr addrspace(1) @cons(i64 3, ptr addrspace(1) null)
  %one = extractelement <2 x ptr addrspace(1)> %v2, i64 %n
  %s = call i64 @sum(ptr addrspace(1) %one)
  ret i64 %s
}
; Writes 1 to n by a pointer that goes through the object, with an allocation after each step. The object is reached by it only.
define i64 @inside(i64 %n) gc "statepoint-example" {
  %o = call ptr addrspace(1) @alloc(i64 %n, i64 0)
  %first = getelementptr i64, ptr addrspace(1) %o, i64 1
  br label %loop
loop:
  %i = phi i64 [1, %0], [%j, %loop]
  %p = phi ptr addrspace(1) [%first, %0], [%q, %loop]
  store i64 %i, ptr addrspace(1) %p
  %garbage = call ptr addrspace(1) @alloc(i64 3, i64 0)
  %q = getelementptr i64, ptr addrspace(1) %p, i64 1
  %j = add i64 %i, 1
  %end = icmp sgt i64 %j, %n
  br i1 %end, label %back, label %loop
back:
  %k = phi i64 [%n, %loop], [%k1, %back]
  %s = phi i64 [0, %loop], [%t, %back]
  %r = phi ptr addrspace(1) [%q, %loop], [%r1, %back]
  %r1 = getelementptr i64, ptr addrspace(1) %r, i64 -1
  %v = load i64, ptr addrspace(1) %r1
  %t = add i64 %s, %v
  %more = call ptr addrspace(1) @alloc(i64 1, i64 0)
  %k1 = sub i64 %k, 1
  %finished = icmp eq i64 %k1, 0
  br i1 %finished, label %done, label %back
done:
  ret i64 %t
}
`

// TestWalkStack runs programs under a collector that moves every object at every allocation, and makes where they were unreadable.
func TestWalkStack(t *testing.T) {
	for name, options := range map[string][]livejit.Option{
		"O0":   nil,
		"O2":   {livejit.WithOptLevel(2)},
		"lazy": {livejit.WithLazy()},
		"IR":   {livejit.WithIRDebug()},
	} {
		t.Run(name, func(t *testing.T) {
			h := newMovingHeap(t, append(options, livejit.WithStatepoints())...)
			add(t, h.e, "lists.ll", lists)
			h.call("loop", 50*51/2, 50)
			if h.derived > 0 {
				t.Error("derived pointers in a program without")
			}
			h.call("deep", 100*101/2, 100)
			if h.roots < 100*99/2 {
				t.Errorf("%d roots in frames of recursion", h.roots)
			}
			h.call("vector", 1, 0)
			h.call("vector", 2, 1)
			h.call("tail", 50*51/2, 50, nil)
			if got := strings.Join(h.frames, " "); got != "cons@1 tail@1" {
				t.Errorf("frames of tail calls: %s", got)
			}
			h.call("inside", 20*21/2, 20)
			if h.derived == 0 {
				t.Error("no derived pointers")
			}
			if h.collections != 50+100+2*3+50+1+20+20 {
				t.Errorf("%d collections", h.collections)
			}
			if len(h.frames) != 1 || h.frames[0] != "inside@1" {
				t.Errorf("frames: %v", h.frames)
			}
		})
	}
}

// TestWalkStackForeign: the C library's qsort stands between a function with a root and a comparison that allocates.
func TestWalkStackForeign(t *testing.T) {
	h := newMovingHeap(t, livejit.WithStatepoints())
	add(t, h.e, "lists.ll", lists)
	add(t, h.e, "sort.ll", `
declare void @qsort(ptr, i64, i64, ptr)
declare ptr addrspace(1) @cons(i64, ptr addrspace(1))
declare i64 @sum(ptr addrspace(1))
define i32 @compare(ptr %a, ptr %b) gc "statepoint-example" {
  %x = load i64, ptr %a
  %y = load i64, ptr %b
  %l = call ptr addrspace(1) @cons(i64 %x, ptr addrspace(1) null)
  %m = call ptr addrspace(1) @cons(i64 %y, ptr addrspace(1) null)
  %v = call i64 @sum(ptr addrspace(1) %l)
  %w = call i64 @sum(ptr addrspace(1) %m)
  %less = icmp slt i64 %v, %w
  %r = select i1 %less, i32 -1, i32 1
  ret i32 %r
}
define i64 @sorted(ptr %numbers, i64 %n) gc "statepoint-example" {
  %l = call ptr addrspace(1) @cons(i64 7, ptr addrspace(1) null)
  call void @qsort(ptr %numbers, i64 %n, i64 8, ptr @compare)
  %s = call i64 @sum(ptr addrspace(1) %l)
  ret i64 %s
}`)
	numbers := []int64{5, 3, 9, 1, 7, 2, 8, 6, 4, 0}
	h.call("sorted", 7, numbers, int64(len(numbers)))
	for i, n := range numbers {
		if n != int64(i) {
			t.Fatalf("sorted: %v", numbers)
		}
	}
	if got := strings.Join(h.frames, " "); got != "cons@1 compare@1 sorted@1" {
		t.Errorf("frames of the last collection: %s", got)
	}
}

// TestWalkStackNested: Go code that native code has called enters the engine again, replaces a function that stands on the stack, and collects itself.
func TestWalkStackNested(t *testing.T) {
	h := newMovingHeap(t, livejit.WithStatepoints())
	outer := `
declare ptr addrspace(1) @cons(i64, ptr addrspace(1))
declare i64 @sum(ptr addrspace(1))
declare i64 @again(i64)
define i64 @outer(i64 %n) gc "statepoint-example" {
  %l = call ptr addrspace(1) @cons(i64 %n, ptr addrspace(1) null)
  %r = call i64 @again(i64 %n)
  %s = call i64 @sum(ptr addrspace(1) %l)
  %t = add i64 %s, %r
  ret i64 %t
}`
	var frames []string
	err := h.e.Define("again", func(n int64) int64 {
		if n == 0 {
			h.collect()
			frames = h.frames
			return 0
		}
		text := strings.Replace(outer, "add i64 %s, %r", fmt.Sprintf("add i64 %%r, %%s ; %d\n  %%u = mul i64 %%n, %d", n, n), 1)
		if _, err := h.e.Replace(background, livejit.IR("outer.ll", text)); err != nil {
			panic(err)
		}
		r, err := h.e.Call(background, "outer", n-1)
		if err != nil {
			panic(err)
		}
		return r.(int64)
	})
	if err != nil {
		t.Fatal(err)
	}
	add(t, h.e, "lists.ll", lists)
	add(t, h.e, "outer.ll", outer)
	h.call("outer", 6, 3)
	if got := strings.Join(frames, " "); got != "outer@4 outer@3 outer@2 outer@1" {
		t.Errorf("frames: %s", got)
	}
}

// TestWalkStackCatch: a root is where a landing pad finds it, after a collection and a C++ exception.
func TestWalkStackCatch(t *testing.T) {
	for _, level := range []int{0, 2} {
		h := newMovingHeap(t, livejit.WithStatepoints(), livejit.WithOptLevel(level))
		add(t, h.e, "lists.ll", lists)
		add(t, h.e, "throw.ll", `
@_ZTIi = external constant ptr
declare ptr @__cxa_allocate_exception(i64)
declare void @__cxa_throw(ptr, ptr, ptr)
declare ptr @__cxa_begin_catch(ptr)
declare void @__cxa_end_catch()
declare i32 @__gxx_personality_v0(...)
declare ptr addrspace(1) @cons(i64, ptr addrspace(1))
declare i64 @sum(ptr addrspace(1))
define void @throw(i64 %n) gc "statepoint-example" {
  %l = call ptr addrspace(1) @cons(i64 %n, ptr addrspace(1) null)
  %e = call ptr @__cxa_allocate_exception(i64 4)
  %s = call i64 @sum(ptr addrspace(1) %l)
  %i = trunc i64 %s to i32
  store i32 %i, ptr %e
  call void @__cxa_throw(ptr %e, ptr @_ZTIi, ptr null)
  unreachable
}
define i64 @catch(i64 %n) gc "statepoint-example" personality ptr @__gxx_personality_v0 {
  %l = call ptr addrspace(1) @cons(i64 %n, ptr addrspace(1) null)
  invoke void @throw(i64 5) to label %never unwind label %caught
never:
  ret i64 0
caught:
  %x = landingpad { ptr, i32 } catch ptr @_ZTIi
  %e = extractvalue { ptr, i32 } %x, 0
  %p = call ptr @__cxa_begin_catch(ptr %e)
  %i = load i32, ptr %p
  call void @__cxa_end_catch()
  %m = call ptr addrspace(1) @cons(i64 1, ptr addrspace(1) %l)
  %s = call i64 @sum(ptr addrspace(1) %m)
  %j = sext i32 %i to i64
  %r = add i64 %s, %j
  ret i64 %r
}`)
		h.call("catch", 106, 100)
	}
}

// objectOf compiles lists by LLVM's own tools.
func objectOf(t *testing.T, options ...string) livejit.Source {
	t.Helper()
	ir, object := filepath.Join(t.TempDir(), "lists.ll"), filepath.Join(t.TempDir(), "lists.o")
	opt := exec.Command("opt-22", "-passes=function(mem2reg),rewrite-statepoints-for-gc", "-S", "-o", ir)
	opt.Stdin = strings.NewReader(strings.ReplaceAll(lists, "musttail", "tail")) // which the pass alone does not bear
	for _, c := range []*exec.Cmd{opt, exec.Command("llc-22", append(options, "-filetype=obj", ir, "-o", object)...)} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	return livejit.File(object)
}

// TestWalkStackObject: objects of LLVM's own tools have no frame pointers, and nothing but their stack maps says which functions have a collector.
func TestWalkStackObject(t *testing.T) {
	for _, sections := range []string{"-function-sections", "-relocation-model=pic"} {
		h := newMovingHeap(t)
		if _, err := h.e.Add(background, objectOf(t, sections)); err != nil {
			t.Fatal(err)
		}
		h.call("loop", 50*51/2, int64(50))
		h.call("deep", 100*101/2, int64(100))
		h.call("inside", 20*21/2, int64(20))
		if len(h.frames) != 1 || h.frames[0] != "inside@1" || h.derived == 0 {
			t.Errorf("%s: frames %v, %d derived pointers", sections, h.frames, h.derived)
		}
	}
}

// TestWalkStackRegisters: LLVM can be told to leave roots in registers. Those are not found, which is said before anything has moved.
func TestWalkStackRegisters(t *testing.T) {
	h := newMovingHeap(t)
	if _, err := h.e.Add(background, objectOf(t, "-max-registers-for-gc-values=4", "-fixup-allow-gcptr-in-csr")); err != nil {
		t.Fatal(err)
	}
	var s *livejit.StackMapError
	if _, err := h.e.Call(background, "loop", int64(2)); err == nil || !errors.As(h.err, &s) || !strings.Contains(h.err.Error(), "a root is not in memory but Register R") {
		t.Errorf("%v, %v", err, h.err)
	}
}

// TestWalkStackObjects: a hand-written statepoint may name a stack object.
func TestWalkStackObjects(t *testing.T) {
	e := newEngine(t)
	var objects []uintptr
	err := e.Define("look", func() {
		if err := e.WalkStack(func(f *livejit.StackFrame) error {
			objects = append(objects, f.Objects...)
			return nil
		}); err != nil {
			panic(err)
		}
		for _, o := range objects {
			*word(o) += 2
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	add(t, e, "hand.ll", `
declare token @llvm.experimental.gc.statepoint.p0(i64 immarg, i32 immarg, ptr, i32 immarg, i32 immarg, ...)
declare void @look()
define i64 @hand(i64 %n) gc "statepoint-example" {
  %a = alloca i64
  store i64 %n, ptr %a
  %t = call token (i64, i32, ptr, i32, i32, ...) @llvm.experimental.gc.statepoint.p0(i64 1, i32 0, ptr elementtype(void ()) @look, i32 0, i32 0, i32 0, i32 0) ["gc-live"(ptr %a)]
  %r = load i64, ptr %a
  ret i64 %r
}`)
	if r, err := e.Call(background, "hand", 40); err != nil || r != int64(42) || len(objects) != 1 {
		t.Errorf("%v, %v, %d stack objects", r, err, len(objects))
	}
}

// TestWalkStackThread: a thread that native code has started has no entry at which its stack ends for the walk.
func TestWalkStackThread(t *testing.T) {
	h := newMovingHeap(t, livejit.WithStatepoints())
	add(t, h.e, "lists.ll", lists)
	add(t, h.e, "thread.ll", `
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i64 @deep(i64)
define ptr @run(ptr %n) {
  %i = ptrtoint ptr %n to i64
  %s = call i64 @deep(i64 %i)
  %p = inttoptr i64 %s to ptr
  ret ptr %p
}
define i64 @start(i64 %n) {
  %thread = alloca i64
  %result = alloca ptr
  %p = inttoptr i64 %n to ptr
  %e = call i32 @pthread_create(ptr %thread, ptr null, ptr @run, ptr %p)
  %id = load i64, ptr %thread
  %f = call i32 @pthread_join(i64 %id, ptr %result)
  %r = load i64, ptr %result
  ret i64 %r
}`)
	h.call("start", 10*11/2, 10)
	if got, want := strings.Join(h.frames, " "), "cons@1 "+strings.Repeat("deep@1 ", 10)+"run@1"; got != want {
		t.Errorf("frames: %s", got)
	}
}

// TestWalkStackInterrupted: a call is interrupted while a C function runs that still calls back. The return address from that is the interrupt's then, and the
// frames below are found all the same. (Leave out what lj_walk_stack does about it to see it fail.)
func TestWalkStackInterrupted(t *testing.T) {
	h := newMovingHeap(t, livejit.WithStatepoints())
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	walks := 0
	err := h.e.Define("entry", func(unsafe.Pointer, unsafe.Pointer, int32) int32 {
		cancel()
		h.collect()
		if got := strings.Join(h.frames, " "); got != "search@1" {
			panic("frames: " + got)
		}
		walks++
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	add(t, h.e, "lists.ll", lists)
	add(t, h.e, "search.ll", `
declare i32 @ftw(ptr, ptr, i32)
declare i32 @entry(ptr, ptr, i32)
declare ptr addrspace(1) @cons(i64, ptr addrspace(1))
declare i64 @sum(ptr addrspace(1))
define i64 @search(ptr %path) gc "statepoint-example" {
  %l = call ptr addrspace(1) @cons(i64 7, ptr addrspace(1) null)
  %r = call i32 @ftw(ptr %path, ptr @entry, i32 10)
  %s = call i64 @sum(ptr addrspace(1) %l)
  ret i64 %s
}`)
	var interrupted *livejit.InterruptError
	if _, err := h.e.Call(ctx, "search", "/usr"); !errors.As(err, &interrupted) || walks == 0 {
		t.Errorf("%v after %d walks", err, walks)
	}
	t.Log(walks, "walks")
}

// TestWalkStackErrors: what keeps pointers from being found is an error before anything has moved.
func TestWalkStackErrors(t *testing.T) {
	const caller = `
declare void @look() %s
define i64 @caller(ptr addrspace(1) %%o) gc "statepoint-example" {
  call void @look()
  %%i = ptrtoint ptr addrspace(1) %%o to i64
  ret i64 %%i
}`
	for _, c := range []struct {
		name, text string
		options    []livejit.Option
		want       string
	}{
		{"leaf", fmt.Sprintf(caller, `"gc-leaf-function"`), []livejit.Option{livejit.WithStatepoints()}, "no statepoint"},
		{"without statepoints", fmt.Sprintf(caller, ""), nil, "no statepoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(t, c.options...)
			var err error
			if err := e.Define("look", func() {
				err = e.WalkStack(func(*livejit.StackFrame) error { t.Error("visited"); return nil })
			}); err != nil {
				t.Fatal(err)
			}
			add(t, e, "caller.ll", c.text)
			if r, err := e.Call(background, "caller", nil); err != nil || r != int64(0) {
				t.Fatal(r, err)
			}
			var s *livejit.StackMapError
			if !errors.As(err, &s) || !strings.Contains(err.Error(), c.want) || s.Location.Function != "caller" || s.Location.Version != 1 {
				t.Errorf("error: %v", err)
			}
		})
	}
	e := newEngine(t)
	if err := e.WalkStack(func(*livejit.StackFrame) error { return nil }); err == nil || !strings.Contains(err.Error(), "callback") {
		t.Errorf("outside of native code: %v", err)
	}
	// An error of visit ends the walk and is returned.
	stop := errors.New("stop")
	visits := 0
	var err error
	if err := e.Define("look", func() {
		err = e.WalkStack(func(*livejit.StackFrame) error { visits++; return stop })
	}); err != nil {
		t.Fatal(err)
	}
	add(t, e, "plain.ll", "declare void @look()\ndefine void @f() { call void @look()\n ret void }\ndefine void @g() { call void @f()\n ret void }")
	if _, callErr := e.Call(background, "g"); callErr != nil || err != stop || visits != 1 {
		t.Errorf("%d visits, %v, %v", visits, err, callErr)
	}
}

// TestStatepointsRefused: pointers that no stack map shows are errors of the compile.
func TestStatepointsRefused(t *testing.T) {
	e := newEngine(t, livejit.WithStatepoints())
	add(t, e, "other.ll", "define void @other() { ret void }")
	for _, c := range []struct{ name, body, want string }{
		{"stack object", `%a = alloca [2 x ptr addrspace(1)]
  call void @keep(ptr %a)
  ret void`, "stack object"},
		{"bytes", `%a = alloca [16 x i8]
  %p = getelementptr i8, ptr %a, i64 8
  store ptr addrspace(1) %o, ptr %p
  call void @keep(ptr %a)
  ret void`, "stack object"},
		{"struct over a call", `%s = call { ptr addrspace(1), i64 } @pair()
  call void @other()
  %x = extractvalue { ptr addrspace(1), i64 } %s, 0
  call void @keep1(ptr addrspace(1) %x)
  ret void`, "struct or array"},
		{"struct in another block", `%s = call { ptr addrspace(1), i64 } @pair()
  br label %next
next:
  call void @other()
  %x = extractvalue { ptr addrspace(1), i64 } %s, 0
  call void @keep1(ptr addrspace(1) %x)
  ret void`, "struct or array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			declarations := "declare void @keep(ptr)\ndeclare void @keep1(ptr addrspace(1))\ndeclare void @other()\ndeclare { ptr addrspace(1), i64 } @pair()\n"
			_, err := e.Add(background, livejit.IR("refused.ll", declarations+"define void @refused(ptr addrspace(1) %o) gc \"statepoint-example\" {\n  "+c.body+"\n}"))
			var compile *livejit.CompileError
			if !errors.As(err, &compile) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "refused") {
				t.Errorf("error: %v", err)
			}
		})
	}
	// Taken apart at once it is fine; so is a function without garbage collector.
	add(t, e, "fine.ll", `define { ptr addrspace(1), i64 } @pair() { ret { ptr addrspace(1), i64 } { ptr addrspace(1) null, i64 3 } }
define i64 @fine() gc "statepoint-example" {
  %s = call { ptr addrspace(1), i64 } @pair()
  %x = extractvalue { ptr addrspace(1), i64 } %s, 1
  ret i64 %x
}
define i64 @plain(ptr addrspace(1) %o) {
  %a = alloca ptr addrspace(1)
  store volatile ptr addrspace(1) %o, ptr %a
  ret i64 4
}`)
	if r, err := e.Call(background, "fine"); err != nil || r != int64(3) {
		t.Errorf("fine: %v, %v", r, err)
	}
}
