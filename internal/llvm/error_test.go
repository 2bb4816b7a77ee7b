package llvm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func itoa(i int) string { return strconv.Itoa(i) }

// wantError checks an error's kind and that one of its messages contains text.
func wantError(t testing.TB, err error, kind ErrorKind, text string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error of kind %v with %q", err, kind, text)
	}
	if e.Kind != kind || !strings.Contains(fmt.Sprintf("%+v", e), text) {
		t.Fatalf("got kind %v: %+v\nwant kind %v with %q", e.Kind, e, kind, text)
	}
	if s := e.Error(); strings.Contains(s, "\n") || s == "" {
		t.Errorf("Error() is not one line: %q", s)
	}
	return e
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name, ir string
		kind     ErrorKind
		v, plus  string // %v, and a part of %+v
	}{
		{"syntax", "define i32 @f() {\n  ret i32 x\n}\n", KindParse, "t.ll:2:11: error: expected value token", "  ret i32 x\n          ^"},
		{"type mismatch", "define i32 @f() {\n\t%a = add i32 1, 2\n\tret i64 %a\n}\n", KindParse, "t.ll:3:10: error: '%a' defined with type 'i32' but expected 'i64'", "\tret i64 %a\n\t        ^"},
		{"undefined value", "define void @f() {\n  call void @g()\n  ret void\n}\n", KindParse, "t.ll:2:13: error: use of undefined value '@g'", ""},
		{"end of file", "define void @f() {", KindParse, "t.ll:1:19: error: found end of file when expecting more instructions", ""},
		{"deep nesting", "@x = global " + strings.Repeat("[1 x ", 100000), KindParse, "t.ll:1: error: brackets nested too deeply", ""},
		{"deep nesting later", ";[[[[\n@s = constant [1 x i8] c\"[\"\n@x = global " + strings.Repeat("{", 3000), KindParse, "t.ll:3: error: brackets nested too deeply", ""},
		{"invalid", "define i32 @f(i1 %c) {\n  br i1 %c, label %a, label %b\na:\n  %x = add i32 1, 2\n  br label %b\nb:\n  ret i32 %x\n}\n", KindVerify, "t.ll: error: Instruction does not dominate all uses!", "ret i32 %x"},
		{"several findings", "define void @f() {\n  ret void\na:\n  %p = phi i32 [0, %a]\n  ret void\n}\ndefine void @g() {\n  ret void\na:\n  %p = phi i32 [0, %a]\n  ret void\n}\n", KindVerify, "t.ll: error: ", "\nt.ll: error: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newContext(t).ParseIR("t.ll", []byte(tt.ir))
			e := wantError(t, err, tt.kind, tt.plus)
			if !strings.HasPrefix(e.Error(), tt.v) {
				t.Errorf("got %q, want %q", e.Error(), tt.v)
			}
		})
	}
}

func TestBitcodeErrors(t *testing.T) {
	c := newContext(t)
	good, err := parse(t, c, "define i32 @f(i32 %x) {\n %y = mul i32 %x, %x\n ret i32 %y\n}").Bitcode()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"empty": nil, "short": []byte("BC"), "text": []byte("define void @f() { ret void }\n"), "zeros": make([]byte, 64),
		"cut": good[:len(good)/2&^3], "header only": good[:4],
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.ParseBitcode("x.bc", data)
			e := wantError(t, err, KindParse, "x.bc: error: ")
			t.Log(e)
		})
	}
}

// TestTruncatedBitcode reads every beginning of a file.
func TestTruncatedBitcode(t *testing.T) {
	c := newContext(t)
	bc := compileC(t, "a.c", "static int v; int f(int x) { return x + v++; }\n", "-g")
	for n := range len(bc) {
		if m, err := c.ParseBitcode("x.bc", bc[:n]); err == nil {
			m.Close()
		} else if e := err.(*Error); e.Kind != KindParse && e.Kind != KindVerify {
			t.Fatalf("%d of %d bytes: %v %v", n, len(bc), e.Kind, e)
		}
	}
}

func TestBitcodeRoundTrip(t *testing.T) {
	c := newContext(t)
	m := parse(t, c, "define i32 @f(i32 %x) {\n  %y = mul i32 %x, %x\n  ret i32 %y\n}\n")
	bc, err := m.Bitcode()
	if err != nil {
		t.Fatal(err)
	}
	// The wrapper that Darwin's tools put around bitcode: magic, version, offset, size, CPU type.
	wrapped := append([]byte{0xde, 0xc0, 0x17, 0x0b, 0, 0, 0, 0, 20, 0, 0, 0, byte(len(bc)), byte(len(bc) >> 8), 0, 0, 7, 0, 0, 1}, bc...)
	for name, data := range map[string][]byte{"raw": bc, "wrapped": wrapped} {
		again, err := newContext(t).ParseBitcode("test.ll", data)
		if err != nil {
			t.Fatal(name, err)
		}
		if a, b := again.Text(), m.Text(); a != b {
			t.Errorf("%s: got\n%s\nwant\n%s", name, a, b)
		}
		again.Close()
	}
	own, err := c.ParseOwnBitcode("test.ll", bc)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if own.Text() != m.Text() {
		t.Error(own.Text())
	}
	if own.Name() != "test.ll" || !strings.HasPrefix(own.TargetTriple(), "") {
		t.Error(own.Name(), own.TargetTriple())
	}
}

func TestBrokenDebugInfoIsDropped(t *testing.T) {
	tests := map[string]struct{ ir, want string }{
		"broken": {"define void @f() !dbg !3 { ret void }\n!llvm.module.flags = !{!0}\n!llvm.dbg.cu = !{!1}\n!0 = !{i32 2, !\"Debug Info Version\", i32 3}\n" +
			"!1 = distinct !DICompileUnit(language: DW_LANG_C99, file: !2)\n!2 = !DIFile(filename: \"a.c\", directory: \"/\")\n!3 = distinct !DISubprogram(name: \"f\", unit: null, spFlags: DISPFlagDefinition)",
			"invalid debug info dropped"},
		"other version": {"define void @f() { ret void }\n!llvm.module.flags = !{!0}\n!llvm.dbg.cu = !{!1}\n!0 = !{i32 2, !\"Debug Info Version\", i32 1}\n" +
			"!1 = distinct !DICompileUnit(language: DW_LANG_C99, file: !2)\n!2 = !DIFile(filename: \"a.c\", directory: \"/\")",
			"debug info of version 1 dropped"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := parse(t, newContext(t), tt.ir)
			if len(m.Warnings) != 1 || m.Warnings[0].Severity != SeverityWarning || !strings.Contains(m.Warnings[0].Message, tt.want) {
				t.Errorf("warnings: %v", m.Warnings)
			}
			if strings.Contains(m.Text(), "DICompileUnit") {
				t.Error(m.Text())
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	wantPanic := func(what string, f func()) {
		t.Helper()
		defer func() {
			if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: llvm: ") {
				t.Errorf("%s: recovered %q", what, s)
			}
		}()
		f()
	}
	c := NewContext()
	m, err := c.ParseIR("m", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantPanic("closing a context before its modules", c.Close)
	p := newPipeline(t, PipelineOptions{})
	o, err := p.Emit(m)
	if err != nil {
		t.Fatal(err)
	}
	o.Release()
	o.Release()
	wantPanic("use after Emit", func() { m.Text() })
	m.Close()
	m.Close()
	wantPanic("use of a closed module", func() { m.Verify() })
	c.Close()
	c.Close()
	wantPanic("use of a closed context", func() { c.ParseIR("", nil) })
	wantPanic("level", func() { NewPipeline(PipelineOptions{OptLevel: 4}) })
	wantPanic("concurrent use", func() {
		c := newContext(t)
		c.owner.enter("Context")
		defer c.owner.leave()
		c.ParseIR("", nil)
	})
}

func TestPipelineOptions(t *testing.T) {
	_, err := NewPipeline(PipelineOptions{CPU: "pdp11"})
	wantError(t, err, KindTarget, `unknown processor "pdp11"`)
	_, err = NewPipeline(PipelineOptions{CPU: "x86-64", Features: "+avx2,+warp,sse"})
	wantError(t, err, KindTarget, "unknown processor features for x86_64-pc-linux-gnu: +warp, sse")
	for _, o := range []PipelineOptions{{CPU: "x86-64-v3"}, {CPU: "znver3", Features: "-avx"}, {DebugInfo: DebugLines}, {DebugInfo: DebugNone}} {
		newPipeline(t, o)
	}
}
