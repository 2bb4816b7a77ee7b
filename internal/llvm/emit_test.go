package llvm

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// branch finds the relocation of the call or jump to sym in function fn.
func (o *object) branch(fn, sym string) (reloc, bool) {
	for _, r := range o.relocs[fn] {
		if r.sym == sym {
			return r, true
		}
	}
	return reloc{}, false
}

// TestRelocations checks how code refers to functions and data at every level.
func TestRelocations(t *testing.T) {
	const ir = `
@own = global i32 1
@static = internal global i32 2
@weak = weak global i32 3
@ext = external global i32
@tls = thread_local global i32 4
@statictls = internal thread_local global i32 5
@exttls = external thread_local global i32
@table = global [2 x ptr] [ptr @callee, ptr @static_callee]
define i32 @callee(i32 %x) { ret i32 %x }
define internal i32 @static_callee(i32 %x) { ret i32 %x }
define linkonce_odr i32 @inline_callee(i32 %x) { ret i32 %x }
declare i32 @extern_callee(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
@alias = alias i32 (i32), ptr @callee
define i32 @calls(i32 %x) {
  %a = call i32 @callee(i32 %x)
  %b = call i32 @static_callee(i32 %a)
  %c = call i32 @extern_callee(i32 %b)
  %d = call i32 @alias(i32 %c)
  %e = call i32 @inline_callee(i32 %d)
  %f = add i32 %d, %e
  ret i32 %f
}
define i32 @recursive(i32 %x) {
  %y = sub i32 %x, 1
  %c = icmp eq i32 %y, 0
  br i1 %c, label %a, label %b
a:
  ret i32 0
b:
  %r = call i32 @recursive(i32 %y)
  %z = lshr i32 %r, 1
  %q = call i32 @recursive(i32 %z)
  %s = mul i32 %r, %q
  ret i32 %s
}
define i32 @tail(i32 %x) {
  %r = musttail call i32 @callee(i32 %x)
  ret i32 %r
}
define void @libcall(ptr %a, ptr %b, i64 %n) {
  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %b, ptr %a, i64 %n, i1 false)
  ret void
}
define i32 @data() {
  %a = load i32, ptr @own
  %b = load i32, ptr @static
  %c = load i32, ptr @weak
  %d = load i32, ptr @ext
  %e = add i32 %a, %b
  %f = add i32 %c, %d
  %g = add i32 %e, %f
  ret i32 %g
}
define i32 @threads() {
  %p = call ptr @llvm.threadlocal.address.p0(ptr @tls)
  %a = load i32, ptr %p
  %q = call ptr @llvm.threadlocal.address.p0(ptr @statictls)
  %b = load i32, ptr %q
  %r = call ptr @llvm.threadlocal.address.p0(ptr @exttls)
  %c = load i32, ptr %r
  %d = add i32 %a, %b
  %e = add i32 %c, %d
  ret i32 %e
}
define ptr @address() { ret ptr @static_callee }
`
	for level := range 4 {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			c := newContext(t)
			m := parse(t, c, ir)
			prepare(t, m)
			whole := emit(t, newPipeline(t, PipelineOptions{OptLevel: level}), parse(t, c, m.Text()))
			// One function after another must give the same references as all at once.
			p := newPipeline(t, PipelineOptions{OptLevel: level})
			for _, fn := range []string{"calls", "recursive", "tail", "libcall", "data", "threads", "address"} {
				alone := emit(t, p, cut(t, m, fn))
				if a, b := alone.refs(fn), whole.refs(fn); !slices.Equal(a, b) {
					t.Errorf("%s cut out has %v, in the module %v", fn, a, b)
				}
			}
			for _, ref := range []string{"callee", "static_callee", "extern_callee", "alias", "inline_callee"} {
				r, ok := whole.branch("calls", ref)
				if !ok || r.kind != elf.R_X86_64_GOTPCRELX || !strings.HasSuffix(string(r.code), "\xff\x15") {
					t.Errorf("call of %s: %v % x", ref, r.kind, r.code)
				}
			}
			// In a loop the optimiser may load the address once; it is the stub's then.
			if r, ok := whole.branch("recursive", "recursive"); !ok || (r.kind != elf.R_X86_64_GOTPCRELX && (level == 0 || r.kind != elf.R_X86_64_REX_GOTPCRELX)) {
				t.Errorf("recursive call: %v", whole.refs("recursive"))
			}
			tail, jump := elf.R_X86_64_GOTPCRELX, "\xff\x25"
			if level == 0 { // loads the address, then jumps
				tail, jump = elf.R_X86_64_REX_GOTPCRELX, "\x48\x8b\x05"
			}
			if r, ok := whole.branch("tail", "callee"); !ok || r.kind != tail || !strings.HasSuffix(string(r.code), jump) {
				t.Errorf("tail call: %v % x", whole.refs("tail"), r.code)
			}
			// FastISel calls the library through the PLT, whatever the module's flag says.
			if r, ok := whole.branch("libcall", "memcpy"); !ok || (r.kind != elf.R_X86_64_GOTPCRELX && r.kind != elf.R_X86_64_REX_GOTPCRELX && level > 0) {
				t.Errorf("library call: %v", whole.refs("libcall"))
			}
			for ref, want := range map[string]elf.R_X86_64{"own": elf.R_X86_64_PC32, "static": elf.R_X86_64_PC32, "weak": elf.R_X86_64_REX_GOTPCRELX, "ext": elf.R_X86_64_REX_GOTPCRELX} {
				if r, ok := whole.branch("data", ref); !ok || r.kind != want {
					t.Errorf("data %s: %v, want %v", ref, whole.refs("data"), want)
				}
			}
			if got, want := whole.refs("threads"), []string{"GOTPCRELX __tls_get_addr", "TLSGD exttls", "TLSGD statictls", "TLSGD tls"}; !slices.Equal(got, want) {
				t.Errorf("thread-local: %v", got)
			}
			if got := whole.refs("address"); !slices.Equal(got, []string{"REX_GOTPCRELX static_callee"}) {
				t.Errorf("address: %v", got)
			}
			if got := whole.refs("table"); !slices.Equal(got, []string{"64 callee", "64 static_callee"}) {
				t.Errorf("table: %v", got)
			}
			for fn, rs := range whole.relocs {
				for _, r := range rs {
					if r.kind == elf.R_X86_64_PLT32 && r.sym != "memcpy" {
						t.Errorf("PLT32 to %s in %s", r.sym, fn)
					}
				}
			}
			for _, s := range whole.syms {
				if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Section == elf.SHN_UNDEF {
					continue
				}
				if sec := whole.Sections[s.Section]; s.Value != 0 || sec.Size != s.Size || elf.ST_BIND(s.Info) != elf.STB_WEAK {
					t.Errorf("%s shares its section or is not weak: %+v", s.Name, s)
				}
				if code := whole.code(t, s.Name); s.Name != "tail" && !strings.Contains(string(code), "\x55\x48\x89\xe5") {
					t.Errorf("%s has no frame pointer: % x", s.Name, code)
				}
			}
		})
	}
}

// TestNothingLearnedFromBodies compiles callers of functions from whose bodies LLVM would learn something: the
// caller must come out the same as one that sees declarations only.
func TestNothingLearnedFromBodies(t *testing.T) {
	callees := map[string]string{
		"constant result":    "define LINK i32 @f(i32 %x, ptr %p) { ret i32 7 }",
		"dead argument":      "define LINK i32 @f(i32 %x, ptr %p) { %v = load i32, ptr %p\n ret i32 %v }",
		"returned argument":  "define LINK i32 @f(i32 %x, ptr %p) { store i32 0, ptr %p\n ret i32 %x }",
		"pure":               "define LINK i32 @f(i32 %x, ptr %p) { %v = mul i32 %x, %x\n ret i32 %v }",
		"no return":          "define LINK i32 @f(i32 %x, ptr %p) { call void @exit(i32 1)\n unreachable }\ndeclare void @exit(i32) noreturn",
		"unreachable":        "define LINK i32 @f(i32 %x, ptr %p) { unreachable }",
		"undefined result":   "define LINK i32 @f(i32 %x, ptr %p) { ret i32 undef }",
		"small range":        "define LINK i32 @f(i32 %x, ptr %p) { %v = and i32 %x, 3\n ret i32 %v }",
		"captures nothing":   "define LINK i32 @f(i32 %x, ptr %p) { store i32 %x, ptr %p\n ret i32 0 }",
		"inferred before":    "define LINK range(i32 0, 4) i32 @f(i32 %x, ptr readonly captures(none) %p) memory(none) nounwind willreturn { ret i32 0 }",
		"tells by attribute": "define LINK i32 @f(i32 returned %x, ptr %p) noreturn { ret i32 %x }",
	}
	const caller = `
define i32 @caller(i32 %x) {
  %p = alloca i32
  store i32 5, ptr %p
  %a = call i32 @f(i32 %x, ptr %p)
  %b = call i32 @f(i32 %x, ptr %p)
  %c = load i32, ptr %p
  %d = icmp ult i32 %a, 8
  %e = select i1 %d, i32 %c, i32 %b
  %g = add i32 %e, %x
  ret i32 %g
}
define i32 @guarded(i32 %x, ptr %p) personality ptr @__gxx_personality_v0 {
  %a = invoke i32 @f(i32 %x, ptr %p) to label %ok unwind label %bad
ok:
  ret i32 %a
bad:
  %l = landingpad { ptr, i32 } catch ptr null
  ret i32 -1
}
declare i32 @__gxx_personality_v0(...)
`
	for _, level := range []int{1, 2, 3} {
		p := newPipeline(t, PipelineOptions{OptLevel: level})
		c := newContext(t)
		m := parse(t, c, "declare i32 @f(i32, ptr)\n"+caller)
		prepare(t, m)
		ignorant := emit(t, p, m)
		for name, callee := range callees {
			for _, linkage := range []string{"", "internal", "linkonce_odr", "weak_odr", "dso_local", "hidden"} {
				t.Run(fmt.Sprintf("O%d/%s/%s", level, name, linkage), func(t *testing.T) {
					m := parse(t, c, strings.Replace(callee, "LINK", linkage, 1)+caller)
					prepare(t, m)
					o := emit(t, p, m)
					for _, fn := range []string{"caller", "guarded"} {
						if got, want := o.code(t, fn), ignorant.code(t, fn); string(got) != string(want) {
							t.Errorf("%s differs from one that knows nothing:\n% x\n% x", fn, got, want)
						}
					}
					o.code(t, "f")
				})
			}
		}
	}
}

func TestAlwaysInlineAtEveryLevel(t *testing.T) {
	const ir = `
define internal i32 @helper(i32 %x) alwaysinline { %r = mul i32 %x, 77
 ret i32 %r }
define linkonce_odr i32 @odr(i32 %x) alwaysinline { %r = call i32 @helper(i32 %x)
 ret i32 %r }
define available_externally i32 @gnu(i32 %x) alwaysinline { %r = call i32 @odr(i32 %x)
 ret i32 %r }
define i32 @visible(i32 %x) alwaysinline { %r = call i32 @gnu(i32 %x)
 ret i32 %r }
define i32 @f(i32 %x) { %r = call i32 @visible(i32 %x)
 ret i32 %r }
`
	for level := range 3 {
		c := newContext(t)
		p := newPipeline(t, PipelineOptions{OptLevel: level})
		m := parse(t, c, ir)
		prepare(t, m)
		for what, o := range map[string]*object{"cut": emit(t, p, cut(t, m, "f")), "whole": emit(t, p, m)} {
			if refs := o.refs("f"); len(refs) != 0 {
				t.Errorf("O%d %s: f refers to %v", level, what, refs)
			}
			for _, h := range []string{"helper", "odr", "gnu"} {
				if s := o.symbol(h); s != nil {
					t.Errorf("O%d %s: %s is in the object", level, what, h)
				}
			}
		}
	}
}

func TestCoroutineAtO0(t *testing.T) {
	m := parse(t, newContext(t), `
define ptr @f(i32 %n) presplitcoroutine {
entry:
  %id = call token @llvm.coro.id(i32 0, ptr null, ptr null, ptr null)
  %size = call i32 @llvm.coro.size.i32()
  %alloc = call ptr @malloc(i32 %size)
  %hdl = call ptr @llvm.coro.begin(token %id, ptr %alloc)
  %s = call i8 @llvm.coro.suspend(token none, i1 false)
  switch i8 %s, label %suspend [i8 0, label %cleanup
                                i8 1, label %cleanup]
cleanup:
  %mem = call ptr @llvm.coro.free(token %id, ptr %hdl)
  call void @free(ptr %mem)
  br label %suspend
suspend:
  call void @llvm.coro.end(ptr %hdl, i1 false, token none)
  ret ptr %hdl
}
declare ptr @malloc(i32)
declare void @free(ptr)
`)
	prepare(t, m)
	o := emit(t, newPipeline(t, PipelineOptions{}), m)
	for _, s := range []string{"f", "f.resume", "f.destroy"} {
		o.code(t, s)
	}
}

func TestUnwindResumeGoesThroughGOT(t *testing.T) {
	m := parse(t, newContext(t), `
declare void @g()
declare i32 @__gxx_personality_v0(...)
define void @f() personality ptr @__gxx_personality_v0 {
  invoke void @g() to label %ok unwind label %bad
ok:
  ret void
bad:
  %l = landingpad { ptr, i32 } cleanup
  resume { ptr, i32 } %l
}`)
	prepare(t, m)
	o := emit(t, newPipeline(t, PipelineOptions{}), m)
	if r, ok := o.branch("f", "_Unwind_Resume"); !ok || r.kind != elf.R_X86_64_GOTPCRELX {
		t.Errorf("%v", o.refs("f"))
	}
}

func TestUnknownSubtargetOfFunction(t *testing.T) {
	m := parse(t, newContext(t), `
define void @f() "target-cpu"="pdp11" "target-features"="+sse2,+warpdrive,-engage" { ret void }
define void @g() "target-cpu"="x86-64-v3" "target-features"="+avx2" { ret void }`)
	prepare(t, m)
	o, err := newPipeline(t, PipelineOptions{}).Emit(m)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Release()
	if len(o.Warnings) != 2 || !strings.Contains(o.Warnings[0].Message, `in function f: unknown processor "pdp11" ignored`) ||
		!strings.Contains(o.Warnings[1].Message, "in function f: unknown processor features ignored: +warpdrive, -engage") {
		t.Errorf("%v", o.Warnings)
	}
}

func TestDebugInfoModes(t *testing.T) {
	bc := compileC(t, "a.c", "struct s { int a; };\nint f(struct s *p) { return p->a; }\n", "-g")
	size := map[DebugInfo]int{}
	for _, mode := range []DebugInfo{DebugFull, DebugLines, DebugNone} {
		m, err := newContext(t).ParseBitcode("a.c", bc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		prepare(t, m)
		o := emit(t, newPipeline(t, PipelineOptions{DebugInfo: mode}), m)
		size[mode] = len(o.raw)
		if has := o.Section(".debug_line") != nil; has != (mode != DebugNone) {
			t.Errorf("mode %d: debug_line %v", mode, has)
		}
	}
	if size[DebugFull] <= size[DebugLines] || size[DebugLines] <= size[DebugNone] {
		t.Errorf("sizes %v", size)
	}
}

// TestReuseAcrossContexts runs one pipeline over thousands of modules of many contexts that come and go, and
// compares each object with that of a fresh pipeline.
func TestReuseAcrossContexts(t *testing.T) {
	variants := []string{
		"define i32 @f(i32 %x) { %y = add i32 %x, N\n ret i32 %y }",
		"@v = global [N x i8] zeroinitializer\ndefine ptr @f() { ret ptr @v }",
		"%s = type { i64, <N x float> }\ndefine void @f(ptr %p, ptr %q) { %a = load %s, ptr %p\n store %s %a, ptr %q\n ret void }",
		"define i129 @f(i129 %x) { %y = mul i129 %x, N\n ret i129 %y }",
		"define void @f() gc \"statepoint-example\" { call void @g()\n ret void }\ndeclare void @g()",
		"define void @f() gc \"shadow-stack\" { ret void }",
		"define void @f() personality ptr @p { invoke void @g() to label %a unwind label %b\na:\n ret void\nb:\n %l = landingpad { ptr, i32 } catch ptr @ti\n ret void }\ndeclare void @g()\ndeclare i32 @p(...)\n@ti = external constant ptr",
		"define i32 @f(i32 %x) { switch i32 %x, label %d [i32 0, label %a\ni32 1, label %b\ni32 2, label %c\ni32 3, label %d\ni32 4, label %a]\na:\n ret i32 N\nb:\n ret i32 5\nc:\n ret i32 9\nd:\n ret i32 2 }",
		"define i32 @f(i32 %x) { %r = call i32 asm \"leal N($1), $0\", \"=r,r\"(i32 %x)\n ret i32 %r }\nmodule asm \".globl q\\0Aq = N\"",
		"define double @f(double %x) { %y = fadd double %x, N.5\n ret double %y }",
		"define void @f(ptr %p) { call void (i64, i32, ...) @llvm.experimental.stackmap(i64 N, i32 8, ptr %p)\n ret void }\ndeclare void @llvm.experimental.stackmap(i64, i32, ...)",
	}
	rounds := 300
	if testing.Short() {
		rounds = 20
	}
	for _, level := range []int{0, 2} {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			p := newPipeline(t, PipelineOptions{OptLevel: level})
			want := map[string]string{}
			for i := range rounds {
				c := NewContext()
				for v, text := range variants {
					n := i%3 + 2
					key := fmt.Sprint(v, n)
					ir := strings.ReplaceAll(text, "N", itoa(n))
					compile := func(p *Pipeline) string {
						m, err := c.ParseIR("m", []byte(ir))
						if err != nil {
							t.Fatalf("%+v", err)
						}
						defer m.Close()
						if _, err := m.Prepare(PrepareOptions{}); err != nil {
							t.Fatal(err)
						}
						o, err := p.Emit(m)
						if err != nil {
							t.Fatalf("%+v", err)
						}
						defer o.Release()
						return string(o.Bytes())
					}
					if want[key] == "" {
						fresh, err := NewPipeline(PipelineOptions{OptLevel: level})
						if err != nil {
							t.Fatal(err)
						}
						want[key] = compile(fresh)
						fresh.Close()
					}
					if got := compile(p); got != want[key] {
						t.Fatalf("round %d: object of variant %d differs from a fresh pipeline's", i, v)
					}
				}
				c.Close()
			}
		})
	}
}

// TestParallel compiles in several goroutines, each with its own context and pipeline.
func TestParallel(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			c, err := NewContext(), error(nil)
			defer c.Close()
			p, err := NewPipeline(PipelineOptions{OptLevel: g % 3})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			for i := range 50 {
				m, err := c.ParseIR("m", fmt.Appendf(nil, "define i32 @f(i32 %%x) { %%y = add i32 %%x, %d\n ret i32 %%y }", i))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := m.Prepare(PrepareOptions{}); err != nil {
					t.Error(err)
				}
				if o, err := p.Emit(m); err != nil {
					t.Error(err)
				} else {
					o.Release()
				}
				m.Close()
			}
		})
	}
	wg.Wait()
}
