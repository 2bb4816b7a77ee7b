package llvm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// odd is IR whose printed form is not a line an instruction.
const odd = `declare i32 @__gxx_personality_v0(...)
declare void @may(i32)
define i32 @f(i32 %x, <4 x i32> %v, ptr byval({i32, i64}) %b, i7 %odd) personality ptr @__gxx_personality_v0 {
  %1 = alloca {i32, [2 x {ptr, i1}], <4 x float>}
  %n = alloca i64, i32 3
  %dynamic = alloca i8, i32 %x
  switch i32 %x, label %d [ i32 1, label %a
    i32 2, label %b1 ]
a:
  invoke void @may(i32 1) to label %d unwind label %l
b1:
  %t = add i32 %x, 1
  ret i32 %t
d:
  %p = phi i32 [ %x, %0 ], [ 7, %a ]
  %q = phi i32 [ %x, %0 ], [ 9, %a ]
  %s = add i32 %p, %q
  ret i32 %s
l:
  %e = landingpad { ptr, i32 } cleanup catch ptr null
  resume { ptr, i32 } %e
}
define internal i32 @tail(i32 %x) noinline {
  %r = musttail call i32 @tail(i32 %x)
  ret i32 %r
}
define internal i32 @always(i32 %x) alwaysinline { 
  %r = call i32 @tail(i32 %x)
  ret i32 %r
}
define i32 @uses(i32 %x) "target-features"="+sse2" { 
  call void asm sideeffect "nop\0Anop", ""()
  %r = call i32 @always(i32 %x)
  ret i32 %r
}
`

var (
	locatedLine = regexp.MustCompile(`^(.*?),? !dbg !(\d+)`)
	location    = regexp.MustCompile(`^!(\d+) = !DILocation\(line: (\d+), column: 3, scope: !(\d+)\)$`)
	subprogram  = regexp.MustCompile(`^!(\d+) = distinct !DISubprogram\(name: "([^"]+)".*, line: (\d+), .*scopeLine: (\d+),`)
	head        = regexp.MustCompile(`^define .*@"?([\w.$]+)"?\(`)
)

// checkIRDebug compares the text that DebugIR returned with the module as it is then: every instruction and every head of a
// function must be at its line. It returns how many.
func checkIRDebug(t *testing.T, m *Module, text string) int {
	t.Helper()
	if err := m.Verify(); err != nil {
		t.Fatalf("%v\n%s", err, m.Text())
	}
	lines := strings.Split(text, "\n")
	after := strings.Split(m.Text(), "\n")
	places, heads := make(map[string]int), make(map[string]int)
	for _, l := range after {
		if f := location.FindStringSubmatch(l); f != nil {
			places[f[1]], _ = strconv.Atoi(f[2])
		} else if f := subprogram.FindStringSubmatch(l); f != nil {
			if f[3] != f[4] {
				t.Errorf("scope line: %s", l)
			}
			heads[f[1]], _ = strconv.Atoi(f[3])
			heads[f[2]] = heads[f[1]]
		}
	}
	n, inside := 0, false
	for _, l := range after {
		f := locatedLine.FindStringSubmatch(l)
		switch h := head.FindStringSubmatch(l); {
		case h != nil:
			inside = true
			if f == nil || heads[f[2]] == 0 || !strings.HasPrefix(lines[heads[f[2]]-1], strings.Split(f[1], " !dbg")[0]) || heads[h[1]] != heads[f[2]] {
				t.Errorf("head without its line: %s", l)
			}
			n++
		case l == "}":
			inside = false
		case inside && strings.HasPrefix(l, "  ") && !strings.HasPrefix(l, "   ") && l != "  ]" || f != nil && strings.HasPrefix(l, "  ]"):
			if f == nil && (strings.HasPrefix(l, "  invoke") || strings.Contains(l, " = invoke") || strings.HasPrefix(l, "  switch") || strings.Contains(l, "landingpad") || strings.Contains(l, "callbr")) {
				continue // the location is at the end of a later line
			}
			if f == nil {
				t.Errorf("instruction without a line: %s", l)
				continue
			}
			if strings.HasPrefix(l, "  ]") { // of a switch, at the line of its first
				if at := places[f[2]]; at == 0 || !strings.HasPrefix(lines[at-1], "  switch ") && !strings.HasPrefix(lines[at-1], "  indirectbr ") {
					t.Errorf("a switch is at line %d", at)
				}
				continue
			}
			shown, _, _ := strings.Cut(f[1], "!") // other metadata has other numbers
			if at := places[f[2]]; at == 0 || !strings.HasPrefix(lines[at-1], shown) {
				t.Errorf("line %d for %s", at, l)
			}
			n++
		}
	}
	return n
}

// TestDebugIR checks that each instruction is said to be at the line of the text that shows it, and that the module stays valid
// and can be compiled at every level.
func TestDebugIR(t *testing.T) {
	c := newContext(t)
	for level := range 4 {
		pipe := newPipeline(t, PipelineOptions{OptLevel: level})
		m := parse(t, c, odd)
		prepare(t, m)
		text, err := m.DebugIR("/nowhere", "odd.1.ll", level > 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := checkIRDebug(t, m, text); n < 20 {
			t.Errorf("%d instructions and heads", n)
		}
		if strings.Contains(text, "!dbg") {
			t.Errorf("debug info in the text:\n%s", text)
		}
		if after := m.Text(); level == 0 {
			for _, want := range []string{
				`directory: "/nowhere"`, `filename: "odd.1.ll"`, `!DILocalVariable(name: "x", arg: 1,`, `!DILocalVariable(name: "%1",`, `!DILocalVariable(name: "n",`,
				`!DILocalVariable(name: "dynamic",`, `!DILocalVariable(name: "s",`, `count: 3`, `!DIDerivedType(tag: DW_TAG_member, name: "f1"`,
			} {
				if !strings.Contains(after, want) {
					t.Errorf("no %s in\n%s", want, after)
				}
			}
		}
		o := emit(t, pipe, m)
		if o.code(t, "f") == nil {
			t.Error("no code")
		}
	}
}

// TestDebugIROfPrograms does so for C and C++, as a whole and function by function; debug info of the source goes.
func TestDebugIROfPrograms(t *testing.T) {
	pipe := newPipeline(t, PipelineOptions{OptLevel: 1})
	for _, p := range programs() {
		t.Run(p.name(), func(t *testing.T) {
			bitcode, _ := p.build(t)
			c := newContext(t)
			m, err := c.ParseBitcode(p.file, bitcode)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s := prepare(t, m)
			cuts := 0
			for i := range s.Functions {
				if f := &s.Functions[i]; f.Defined {
					part := cut(t, m, f.Name)
					text, err := part.DebugIR("/nowhere", fmt.Sprintf("%d.ll", i), true)
					if err != nil {
						t.Fatal(err)
					}
					checkIRDebug(t, part, text)
					emit(t, pipe, part)
					part.Close()
					cuts++
				}
			}
			text, err := m.DebugIR("/nowhere", "whole.ll", true)
			if err != nil {
				t.Fatal(err)
			}
			if n := checkIRDebug(t, m, text); n < 10 || cuts < 2 {
				t.Errorf("%d instructions and heads, %d functions", n, cuts)
			}
			if strings.Contains(m.Text(), `"`+p.file+`", directory`) {
				t.Error("debug info of the source is left")
			}
			emit(t, pipe, m)
		})
	}
}
