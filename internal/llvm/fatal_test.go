package llvm

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// brokenInputs are valid modules that LLVM cannot compile. Those of kind Fatal would end the process.
var brokenInputs = []struct {
	name, ir, want string
	kind           ErrorKind
}{
	{"comdat kind", "$f = comdat largest\ndefine void @f() comdat { ret void }",
		"m: error: ELF COMDATs only support SelectionKind::Any and SelectionKind::NoDeduplicate, 'f' cannot be lowered", KindFatal},
	{"foreign intrinsic", "define i32 @f() { %x = call i32 @llvm.amdgcn.workitem.id.x()\n ret i32 %x }\ndeclare i32 @llvm.amdgcn.workitem.id.x()",
		"m: error: Cannot select: intrinsic %llvm.amdgcn.workitem.id.x", KindFatal},
	{"garbage collector", "define void @f() gc \"none such\" { ret void }", "m: error: unsupported GC: none such", KindFatal},
	{"initialiser", "@a = global i32 0\n@d = global i128 ptrtoint (ptr @a to i128)", "m: error: unsupported expression in static initializer: ptrtoint (ptr @a to i128)", KindCodegen},
	{"split stack", "define void @f(...) \"split-stack\" { %p = alloca [4096 x i8]\n call void @g(ptr %p)\n ret void }\ndeclare void @g(ptr)", "m: error: Segmented stacks do not support vararg functions", KindFatal},
	{"interrupt call", "define x86_intrcc void @f(ptr byval(i64) %p) { ret void }\ndefine void @g(ptr %p) { call x86_intrcc void @f(ptr byval(i64) %p)\n ret void }", "m: error: X86 interrupts may not be called directly", KindFatal},
	{"scalable vector", "define <vscale x 4 x i32> @f(<vscale x 4 x i32> %a) { %r = add <vscale x 4 x i32> %a, %a\n ret <vscale x 4 x i32> %r }",
		"m: error: Don't know how to legalize this scalable vector type", KindFatal},
	{"inline assembly", "define void @f() { call void asm sideeffect \"bogus %eax\", \"\"()\n ret void }", "error: invalid instruction mnemonic 'bogus'", KindCodegen},
	{"inline assembly constraint", "define i32 @f(i32 %x) { %r = call i32 asm \"\", \"=r,{xmm77}\"(i32 %x)\n ret i32 %r }", "error: couldn't allocate input reg for constraint '{xmm77}'", KindCodegen},
	{"module assembly", "module asm \".quad foo@NOSUCH\"", "error: invalid variant 'NOSUCH'", KindCodegen},
	{"register", "define i64 @f() { %r = call i64 @llvm.read_register.i64(metadata !0)\n ret i64 %r }\ndeclare i64 @llvm.read_register.i64(metadata)\n!0 = !{!\"r99\"}",
		`m: error: invalid register "r99" for llvm.read_register`, KindCodegen},
	{"relocation", "@i = ifunc void (), ptr @r\ndefine ptr @r() { ret ptr null }\n@k = global ptr dso_local_equivalent @i", "m: error: 32 bit reloc applied to a field with a different size", KindCodegen},
}

const goodIR = "define i32 @f(i32 %x) { %y = add i32 %x, 42\n %z = call i32 @f(i32 %y)\n ret i32 %z }"

// compile takes a text all the way; the object's bytes are copied.
func compile(c *Context, p *Pipeline, ir string) (string, error) {
	m, err := c.ParseIR("m", []byte(ir))
	if err != nil {
		return "", err
	}
	defer m.Close()
	if _, err := m.Prepare(PrepareOptions{}); err != nil {
		return "", err
	}
	o, err := p.Emit(m)
	if err != nil {
		return "", err
	}
	defer o.Release()
	return string(o.Bytes()), nil
}

// TestSurvivesFatalErrors lets LLVM die over and over; each time the next compile must work, nothing may be printed,
// and what is left behind must be accounted for.
func TestSurvivesFatalErrors(t *testing.T) {
	printed := captureStderr(t)
	rounds := 1000
	if testing.Short() {
		rounds = 50
	}
	before := ReadStats()
	var c *Context
	var p *Pipeline
	renew := func() {
		var err error
		c = NewContext()
		if p, err = NewPipeline(PipelineOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	want, err := compile(c, p, goodIR)
	if err != nil {
		t.Fatal(err)
	}
	fatals := int64(0)
	for i := range rounds {
		in := brokenInputs[i%len(brokenInputs)]
		_, err := compile(c, p, in.ir)
		wantError(t, err, in.kind, in.want)
		if in.kind == KindFatal {
			fatals++
			wantPoisoned(t, c, p)
			c.Close()
			p.Close()
			renew()
		}
		got, err := compile(c, p, goodIR)
		if err != nil || got != want {
			t.Fatalf("after %s: %v; object has %d bytes, want %d", in.name, err, len(got), len(want))
		}
	}
	c.Close()
	p.Close()
	got := ReadStats()
	if got.Fatals-before.Fatals != fatals || got.LeakedContexts-before.LeakedContexts != fatals ||
		got.LeakedPipelines-before.LeakedPipelines != fatals || got.LeakedModules-before.LeakedModules != fatals {
		t.Errorf("%d fatal errors, counted %+v before and %+v after", fatals, before, got)
	}
	if s := printed(); s != "" {
		t.Errorf("LLVM printed: %s", s)
	}
}

// wantPoisoned checks that both are given up, also each with a fresh partner.
func wantPoisoned(t *testing.T, c *Context, p *Pipeline) {
	t.Helper()
	_, err := c.ParseIR("m", []byte(goodIR))
	wantError(t, err, KindPoisoned, "context was given up after a fatal error")
	fresh := NewContext()
	defer fresh.Close()
	m, err := fresh.ParseIR("m", []byte(goodIR))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = p.Emit(m)
	wantError(t, err, KindPoisoned, "pipeline was given up after a fatal error")
}

func TestPoisonedContextRefusesEverything(t *testing.T) {
	c := NewContext()
	m, err := c.ParseIR("other", []byte(goodIR))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPipeline(PipelineOptions{OptLevel: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = compile(c, p, brokenInputs[0].ir); err == nil {
		t.Fatal("no error")
	}
	_, err = m.Bitcode()
	wantError(t, err, KindPoisoned, "other: error: ")
	wantError(t, m.Verify(), KindPoisoned, "")
	_, err = m.Prepare(PrepareOptions{})
	wantError(t, err, KindPoisoned, "")
	_, err = m.Cut("f")
	wantError(t, err, KindPoisoned, "")
	for _, err := range m.Split(SplitOptions{}) {
		wantError(t, err, KindPoisoned, "")
	}
	if m.Text() != "" || m.TargetTriple() != "" {
		t.Error("text of a poisoned module")
	}
	m.Close()
	c.Close()
	p.Close()
}

// captureStderr sends file descriptor 2 to a file until the returned function is called, which returns what was written.
func captureStderr(t *testing.T) func() string {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := syscall.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Dup2(int(f.Fd()), 2); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore := func() {
		if !restored {
			restored = true
			syscall.Dup2(saved, 2)
			syscall.Close(saved)
			f.Close()
		}
	}
	t.Cleanup(restore)
	return func() string {
		restore()
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

// TestSilent feeds input that makes LLVM's own readers, verifier and target code print.
func TestSilent(t *testing.T) {
	printed := captureStderr(t)
	c := NewContext()
	defer c.Close()
	p := newPipeline(t, PipelineOptions{OptLevel: 1})
	flags := "!llvm.module.flags = !{!0}\n!0 = !{i32 2, !\"Debug Info Version\", i32 3}\n"
	for _, ir := range []string{
		"define i32 @f(i1 %c) {\n br i1 %c, label %a, label %b\na:\n %x = add i32 1, 2\n br label %b\nb:\n ret i32 %x\n}\n" + flags,
		"define void @f() \"target-cpu\"=\"pdp11\" \"target-features\"=\"+warp\" { ret void }",
		"define void @f() \"tune-cpu\"=\"vax\" { ret void }",
		"define void @f() { call void asm sideeffect \".warning \\22hey\\22\", \"\"()\n ret void }",
		"module asm \".print \\22hello\\22\"",
	} {
		compile(c, p, ir)
		if m, err := c.ParseIR("m", []byte(ir)); err == nil {
			bc, err := m.Bitcode()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := c.ParseBitcode("m", bc); err == nil {
				n.Close()
			}
			m.Close()
		}
	}
	if s := printed(); s != "" && !strings.HasPrefix(s, "hello") {
		t.Errorf("LLVM printed: %s", s)
	}
}
