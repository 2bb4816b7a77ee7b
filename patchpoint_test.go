package livejit_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"livejit"
)

// patchable is a module of functions that call by way of patchpoints.
const patchable = `
declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)
declare void @llvm.experimental.patchpoint.void(i64, i32, ptr, i32, ...)
declare double @llvm.experimental.patchpoint.f64(i64, i32, ptr, i32, ...)
@datum = global i64 0
define i64 @plus(i64 %a, i64 %b) {
  %r = add i64 %a, %b
  ret i64 %r
}
define i64 @minus(i64 %a, i64 %b) {
  %r = sub i64 %a, %b
  ret i64 %r
}
define internal i64 @hidden(i64 %a, i64 %b) {
  ret i64 77
}
define i64 @keep() {
  %r = call i64 @hidden(i64 0, i64 0)
  ret i64 %r
}
define i64 @named(i64 %a, i64 %b) {
  %r = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 1, i32 15, ptr @plus, i32 2, i64 %a, i64 %b, i64 %a)
  ret i64 %r
}
define i64 @unset(i64 %a, i64 %b) {
  %r = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 2, i32 1, ptr null, i32 2, i64 %a, i64 %b)
  ret i64 %r
}
define i64 @three(i64 %a, i64 %b) {
  %x = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 3, i32 5, ptr @plus, i32 2, i64 %a, i64 %b)
  %y = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 3, i32 100, ptr @minus, i32 2, i64 %x, i64 1000)
  %z = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 4, i32 13, ptr @plus, i32 2, i64 %y, i64 %a)
  call void (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.void(i64 5, i32 0, ptr null, i32 0, i64 %z)
  ret i64 %z
}
define double @scaled(double %x) {
  call void (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.void(i64 6, i32 20, ptr null, i32 1, double %x)
  ret double %x
}
`

func onePatchpoint(t *testing.T, e *livejit.Engine, id uint64) *livejit.Patchpoint {
	t.Helper()
	list := e.Patchpoints(id)
	if len(list) != 1 {
		t.Fatalf("%d sites with ID %d", len(list), id)
	}
	return list[0]
}

// TestPatchpoint leads sites to everything that they may lead to, at levels that use registers differently.
func TestPatchpoint(t *testing.T) {
	for _, level := range []int{0, 2} {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			e := newEngine(t, livejit.WithOptLevel(level))
			var seen float64
			if err := errors.Join(e.Define("goes", func(a, b int64) int64 { return 100*a + b }), e.Define("watch", func(x float64) { seen = x })); err != nil {
				t.Fatal(err)
			}
			add(t, e, "patchable.ll", patchable)
			call := func(name string, want int64) {
				t.Helper()
				if got, err := e.Call(background, name, int64(7), int64(3)); err != nil || got != want {
					t.Errorf("%s(7, 3) = %v, %v; want %d", name, got, err, want)
				}
			}
			named := onePatchpoint(t, e, 1)
			if l := named.Location; l.Function != "named" || l.Version != 1 || named.Size != 13 || l.Module != "patchable.ll" {
				t.Errorf("site at %v of %s, %d bytes", l, l.Module, named.Size)
			}
			maps := e.Function("named").StackMaps()
			if len(maps) != 1 || maps[0].Location.PC != named.Location.PC+13 || maps[0].Record.ID != 1 || len(maps[0].Record.Locations) != 1 {
				t.Errorf("stack maps of named: %+v; the site is at %#x", maps, named.Location.PC)
			}
			plus := uintptr(e.Function("plus").Addr())
			if name, address, err := named.Target(); name != "plus" || address != plus || err != nil {
				t.Errorf("target at first: %q, %#x, %v; plus is at %#x", name, address, err, plus)
			}
			call("named", 10)
			for _, c := range []struct {
				target string
				want   int64
			}{{"minus", 4}, {"goes", 703}, {"patchable.ll:hidden", 77}, {"labs", 7}, {"plus", 10}, {"named", 0}, {"minus", 4}} {
				if err := named.SetTarget(c.target); err != nil {
					t.Fatal(err)
				}
				if name, _, err := named.Target(); name != c.target || err != nil {
					t.Errorf("target %q, %v; want %q", name, err, c.target)
				}
				if c.target != "named" { // which would call itself for ever
					call("named", c.want)
				}
			}

			unset := onePatchpoint(t, e, 2)
			if name, address, err := unset.Target(); name != "" || address != 0 || err != nil {
				t.Errorf("no target: %q, %#x, %v", name, address, err)
			}
			if _, err := e.Call(background, "unset", int64(7), int64(3)); err != nil {
				t.Error(err)
			}
			if err := unset.SetTarget("minus"); err != nil {
				t.Fatal(err)
			}
			call("unset", 4)
			if err := unset.SetTarget(""); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Call(background, "unset", int64(7), int64(3)); err != nil {
				t.Error(err)
			}

			call("three", 7+3-1000+7)
			twins := e.Patchpoints(3)
			if len(twins) != 2 || twins[0].Location.PC >= twins[1].Location.PC || len(e.Patchpoints(4)) != 1 || len(e.Patchpoints(5)) != 0 || len(e.Patchpoints(99)) != 0 {
				t.Fatalf("sites with ID 3: %+v", twins)
			}
			if err := errors.Join(twins[0].SetTarget("minus"), twins[1].SetTarget("plus")); err != nil {
				t.Fatal(err)
			}
			call("three", 7-3+1000+7)
			labs := address(t, e, "labs")
			if err := twins[1].SetTargetAddress(labs); err != nil {
				t.Fatal(err)
			}
			if name, got, err := twins[1].Target(); name != "" || got != labs || err != nil {
				t.Errorf("target %q, %#x, %v; want the address %#x", name, got, err, labs)
			}
			call("three", 4+7)
			if err := twins[1].SetTargetAddress(0); err != nil {
				t.Fatal(err)
			}

			scaled := onePatchpoint(t, e, 6)
			for i, name := range []string{"watch", ""} {
				if err := scaled.SetTarget(name); err != nil {
					t.Fatal(err)
				}
				if got, err := e.Call(background, "scaled", 1.5+float64(i)); err != nil || got != 1.5+float64(i) || seen != 1.5 {
					t.Errorf("scaled = %v, %v; the target saw %g", got, err, seen)
				}
			}
			wrong(t, e)
		})
	}
}

// wrong fails the test if the engine's state contradicts itself.
func wrong(t *testing.T, e *livejit.Engine) {
	t.Helper()
	for _, line := range e.Check() {
		t.Error(line)
	}
}

// address returns the true address of a function of the process.
func address(t *testing.T, e *livejit.Engine, name string) uintptr {
	t.Helper()
	add(t, e, "address.ll", "declare void @"+name+"()\ndefine ptr @address_of_"+name+"() { ret ptr @"+name+" }")
	got, err := e.Call(background, "address_of_"+name)
	if err != nil {
		t.Fatal(err)
	}
	return uintptr(got.(unsafe.Pointer))
}

// TestPatchpointErrors: what is refused changes nothing.
func TestPatchpointErrors(t *testing.T) {
	e := newEngine(t)
	add(t, e, "patchable.ll", patchable)
	p := onePatchpoint(t, e, 1)
	var refused *livejit.RefusedError
	if err := p.SetTarget("nowhere_at_all"); !errors.Is(err, livejit.ErrNotFound) {
		t.Error(err)
	}
	if err := p.SetTarget("datum"); !errors.As(err, &refused) {
		t.Error(err)
	}
	if err := p.SetTarget("environ"); !errors.As(err, &refused) {
		t.Error(err)
	}
	if err := p.SetTargetAddress(e.Function("plus").Addr()); !errors.As(err, &refused) || !strings.Contains(err.Error(), "plus") {
		t.Error(err)
	}
	if name, _, err := p.Target(); name != "plus" || err != nil {
		t.Errorf("target %q, %v", name, err)
	}
	wrong(t, e)
	before := e.Dump()
	for _, target := range []string{"%p", "undef"} {
		_, err := e.Add(background, livejit.IR("bad.ll", `declare void @llvm.experimental.patchpoint.void(i64, i32, ptr, i32, ...)
define void @bad(ptr %p) {
  call void (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.void(i64 9, i32 15, ptr `+target+`, i32 0)
  ret void
}`))
		var compile *livejit.CompileError
		if !errors.As(err, &compile) || !strings.Contains(err.Error(), "in function bad: the target of patchpoint 9 is neither null, a function nor a constant address") {
			t.Errorf("target %s: %v", target, err)
		}
	}
	if after := e.Dump(); after != before {
		t.Errorf("the engine has changed from\n%s\nto\n%s", before, after)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Target(); !errors.Is(p.SetTarget("plus"), livejit.ErrClosed) || !errors.Is(p.SetTargetAddress(0), livejit.ErrClosed) || !errors.Is(err, livejit.ErrClosed) {
		t.Error("a closed engine's patchpoint is open")
	}
	if n := len(e.Patchpoints(1)); n != 0 {
		t.Errorf("%d sites in a closed engine", n)
	}
}

// TestPatchpointDependence: what a site leads to cannot be deleted, can be replaced, and is free again when the site leads elsewhere or its version goes.
func TestPatchpointDependence(t *testing.T) {
	e := newEngine(t)
	add(t, e, "patchable.ll", patchable)
	add(t, e, "target.ll", "define i64 @target(i64 %a, i64 %b) { ret i64 1 }")
	first := onePatchpoint(t, e, 1)
	result := func(want int64) {
		t.Helper()
		if got, err := e.Call(background, "named", int64(7), int64(3)); err != nil || got != want {
			t.Errorf("named = %v, %v; want %d", got, err, want)
		}
	}
	refuses := func(refused bool) {
		t.Helper()
		wrong(t, e)
		before := e.Dump()
		err := e.Delete(background, "target")
		var inUse *livejit.InUseError
		if got := errors.As(err, &inUse); got != refused || got && (e.Dump() != before || !strings.Contains(err.Error(), "named")) {
			t.Fatalf("delete: %v", err)
		}
		if err == nil {
			add(t, e, "target.ll", "define i64 @target(i64 %a, i64 %b) { ret i64 1 }")
		}
	}
	set := func(p *livejit.Patchpoint, name string) {
		t.Helper()
		if err := p.SetTarget(name); err != nil {
			t.Fatal(err)
		}
	}
	set(first, "target")
	result(1)
	refuses(true)
	if callers := e.Function("target").Callers(); len(callers) != 1 || callers[0].Name != "named" || !callers[0].Call {
		t.Errorf("callers of the target: %+v", callers)
	}
	if _, err := e.Replace(background, livejit.IR("target.ll", "define i64 @target(i64 %a, i64 %b) { ret i64 2 }")); err != nil {
		t.Fatal(err)
	}
	result(2)
	set(first, "target")
	set(first, "target")
	set(first, "minus")
	result(4)
	refuses(false)
	set(first, "target")
	refuses(true)
	set(first, "")
	refuses(false)
	set(first, "target")

	// A new version begins with its own target; the old one is held by a pin, and goes on where it leads.
	pin, err := e.Function("named").Pin()
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(patchable, "ptr @plus, i32 2, i64 %a, i64 %b, i64 %a)", "ptr @minus, i32 2, i64 %a, i64 %b)", 1)
	if _, err := e.Replace(background, livejit.IR("patchable.ll", next)); err != nil {
		t.Fatal(err)
	}
	result(4)
	list := e.Patchpoints(1)
	if len(list) != 2 || list[0].Location.Version != 1 || list[1].Location.Version != 2 {
		t.Fatalf("sites of two versions: %+v", list)
	}
	if name, _, err := first.Target(); name != "target" || err != nil {
		t.Errorf("the old site leads to %q, %v", name, err)
	}
	refuses(false)
	pin.Release()
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	if list := e.Patchpoints(1); len(list) != 1 || list[0].Location.Version != 2 {
		t.Errorf("sites after the old version was freed: %+v", list)
	}
	if err := first.SetTarget("minus"); !errors.Is(err, livejit.ErrNotFound) || !strings.Contains(err.Error(), "freed") {
		t.Errorf("a site whose version was freed: %v", err)
	}
	set(onePatchpoint(t, e, 1), "target")
	refuses(true)
	if err := e.Delete(background, "named"); err != nil {
		t.Fatal(err)
	}
	refuses(false)
	wrong(t, e)
}

// TestPatchpointOfObject: sites in machine code from another compiler, as far as they can be told.
func TestPatchpointOfObject(t *testing.T) {
	text := strings.NewReplacer("i32 5, ptr", "i32 13, ptr", "ptr @minus, i32 2, i64 %x", "ptr inttoptr (i64 4096 to ptr), i32 2, i64 %x").Replace(patchable)
	object := compile(t, "clang-22", "patchable.ll", text, "-O1", "-ffunction-sections", "-fPIC", "-Wno-override-module")
	e := newEngine(t)
	if _, err := e.Add(background, livejit.Object("patchable.o", object)); err != nil {
		t.Fatal(err)
	}
	if n := len(e.Patchpoints(2)) + len(e.Patchpoints(6)); n != 0 {
		t.Errorf("%d sites without a target were found", n)
	}
	p := onePatchpoint(t, e, 1)
	if err := p.SetTarget("minus"); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Call(background, "named", int64(7), int64(3)); err != nil || got != int64(4) {
		t.Errorf("named = %v, %v", got, err)
	}
	twins := e.Patchpoints(3)
	if len(twins) != 2 {
		t.Fatalf("%+v", twins)
	}
	if _, address, err := twins[1].Target(); address != 4096 || err != nil {
		t.Errorf("constant target %#x, %v", address, err)
	}
}

// TestPatchpointHammer changes the target a million times while four threads run through the site. The targets are a function of the engine, in the low 2 GiB, and one of
// the C library, far above: an address made of halves of both leads nowhere. Broken on purpose, it fails at once with a fault: retarget storing the cell as two words of four bytes.
func TestPatchpointHammer(t *testing.T) {
	e := newEngine(t, livejit.WithOptLevel(2))
	add(t, e, "hammer.ll", `
declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)
@stop = global i32 0
define i64 @triple(i64 %a) {
  %r = mul i64 %a, 3
  ret i64 %r
}
define i64 @run(ptr %counts) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 1, %entry ], [ %next, %loop ]
  %bad = phi i64 [ 0, %entry ], [ %bad.next, %loop ]
  %r = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 1, i32 13, ptr @triple, i32 1, i64 %i)
  %thrice = mul i64 %i, 3
  %is.triple = icmp eq i64 %r, %thrice
  %is.same = icmp eq i64 %r, %i
  %at = zext i1 %is.triple to i64
  %p = getelementptr i64, ptr %counts, i64 %at
  %old = load i64, ptr %p
  %new = add i64 %old, 1
  store i64 %new, ptr %p
  %good = or i1 %is.triple, %is.same
  %b = select i1 %good, i64 0, i64 1
  %bad.next = add i64 %bad, %b
  %next = add i64 %i, 1
  %s = load atomic i32, ptr @stop monotonic, align 4
  %end = icmp ne i32 %s, 0
  br i1 %end, label %out, label %loop
out:
  ret i64 %bad.next
}
define void @halt() {
  store atomic i32 1, ptr @stop monotonic, align 4
  ret void
}`)
	var run func(counts *[2]int64) (int64, error)
	if err := e.Bind("run", &run); err != nil {
		t.Fatal(err)
	}
	p := onePatchpoint(t, e, 1)
	var wait sync.WaitGroup
	var counts [4][2]int64
	for i := range counts {
		wait.Go(func() {
			if bad, err := run(&counts[i]); bad != 0 || err != nil {
				t.Errorf("%d calls reached neither target: %v", bad, err)
			}
		})
	}
	for i := range 1_000_000 {
		name := "labs"
		if i%2 == 1 {
			name = "triple"
		}
		if err := p.SetTarget(name); err != nil {
			t.Error(err)
			break
		}
	}
	if _, err := e.Call(background, "halt"); err != nil {
		t.Error(err)
	}
	wait.Wait()
	for _, c := range counts {
		if c[0] == 0 || c[1] == 0 {
			t.Errorf("a thread's calls reached labs %d times and triple %d times", c[0], c[1])
		}
	}
	wrong(t, e)
}

// BenchmarkPatchpoint changes a target, and calls through a site.
func BenchmarkPatchpoint(b *testing.B) {
	e := newEngine(b)
	add(b, e, "patchable.ll", patchable)
	p := e.Patchpoints(1)[0]
	b.Run("set", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if err := p.SetTarget([...]string{"plus", "minus"}[i&1]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}
