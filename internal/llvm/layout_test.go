package llvm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// describe writes a layout as one line.
func (l Layout) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d bytes:", l.Size)
	for _, m := range l.Members {
		fmt.Fprintf(&b, " %s|%s@%d+%d;", m.Type, m.Name, m.Offset, m.Size)
	}
	return b.String()
}

func variable(t testing.TB, s *Summary, name string) Global {
	t.Helper()
	for _, v := range s.Variables {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no variable %s", name)
	return Global{}
}

const layoutsC = `
struct other;
enum color { RED, GREEN = -3 };
typedef struct { float r, g; } Pair;
typedef struct state state_t;
struct state {
	int score;
	unsigned small : 3, more : 7;
	const char *volatile name;
	state_t *next;
	struct other *unknown;
	union { int i; struct { char a, b; } parts; };
	Pair pairs[2][3];
	enum color color;
	void (*hook)(struct state *, int, ...);
	struct leaf { long l; } leaf;
	char rest[];
};
union both { int i; double d; };
const state_t *all[4];
static volatile int plain;
union both u;
int (*matrix)[5];
_Bool flag;
void *anything;
int use(void) { return plain++; }
`

func TestLayoutsOfC(t *testing.T) {
	s := summarizeC(t, "layouts.c", layoutsC, "-O0", "-g")
	for name, want := range map[string]string{
		"struct state": "104 bytes: int|score@0+32; unsigned int|small@32+3; unsigned int|more@35+7; char *|name@64+64; struct state *|next@128+64; struct other *|unknown@192+64;" +
			" union { int i @0; struct { char a @0; char b @8; } parts @0; }|@256+32; Pair[2][3]|pairs@288+384; enum color|color@672+32;" +
			" function pointer void (struct state *, int, ...)|hook@704+64; struct leaf|leaf@768+64; char[]|rest@832+0;",
		"struct leaf": "8 bytes: long|l@0+64;",
		"union both":  "8 bytes: int|i@0+32; double|d@0+64;",
		"enum color":  "4 bytes: = 0|RED@0+32; = -3|GREEN@0+32;",
		"Pair":        "8 bytes: float|r@0+32; float|g@32+32;",
	} {
		if got := s.Layouts[name].describe(); got != want {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
	if got := slices.Sorted(maps.Keys(s.Layouts)); !slices.Equal(got, []string{"Pair", "enum color", "struct leaf", "struct state", "union both"}) {
		t.Errorf("layouts of %q", got)
	}
	for name, want := range map[string][]string{
		"all":      {"struct state *[4]", "Pair", "enum color", "struct leaf", "struct state"},
		"plain":    {"int"},
		"u":        {"union both", "union both"},
		"matrix":   {"int[5] *"},
		"flag":     {"_Bool"},
		"anything": {"void *"},
	} {
		v := variable(t, s, name)
		if got := append([]string{v.DebugType}, v.Aggregates...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

const layoutsCPP = `
struct Base { virtual ~Base(); long b; };
struct Mixin { int m; };
namespace ns {
enum class Mode : unsigned char { On = 200 };
template <class X> struct Box { X content; static int count; };
class T : public Base, public Mixin, virtual Box<char> {
	struct Inner { short s; };
	Mode mode; Box<int> box; Inner &inner; int Mixin::*member; void (T::*method)(int);
	using Self = T;
	void nothing();
	friend struct Mixin;
};
T *t;
namespace { struct Hidden { int h; } hidden; }
}
using namespace ns;
int f() { static struct Local { int a; } local; return local.a++ + hidden.h; }
void *g() { return t; }
auto closure = [x = 5] { return x; };
int h() { return closure(); }
`

func TestLayoutsOfCPP(t *testing.T) {
	s := summarizeC(t, "layouts.cpp", layoutsCPP, "-O0", "-g", "-fstandalone-debug")
	for name, want := range map[string]string{
		"struct Base":         "16 bytes: function pointer int () *|_vptr$Base@0+64; long|b@64+64;",
		"class ns::T":         "72 bytes:",
		"struct ns::Box<int>": "4 bytes: int|content@0+32;",
		"enum ns::Mode":       "1 bytes: = 200|On@0+8;",
		"struct f::Local":     "4 bytes: int|a@0+32;",
		"struct ns::(anonymous namespace)::Hidden": "4 bytes: int|h@0+32;",
	} {
		if got := s.Layouts[name].describe(); !strings.HasPrefix(got, want) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
	var members []string
	for _, m := range s.Layouts["class ns::T"].Members {
		members = append(members, m.Name+": "+m.Type)
	}
	want := []string{"base struct Base: struct Base", "base struct Mixin: struct Mixin", "virtual base struct ns::Box<char>: struct ns::Box<char>",
		"mode: enum ns::Mode", "box: struct ns::Box<int>", "inner: struct ns::T::Inner &", "member: int struct Mixin::*", "method: "}
	for i, w := range want {
		if i >= len(members) || !strings.HasPrefix(members[i], w) {
			t.Errorf("members of ns::T:\n%s\nwant\n%s", strings.Join(members, "\n"), strings.Join(want, "\n"))
			break
		}
	}
	if v := variable(t, s, "_ZN2ns1tE"); v.DebugType != "class ns::T *" || !slices.Contains(v.Aggregates, "struct Base") || !slices.Contains(v.Aggregates, "struct ns::T::Inner") {
		t.Errorf("t: %q %q", v.DebugType, v.Aggregates)
	}
	if v := variable(t, s, "closure"); !strings.HasPrefix(v.DebugType, "class {") || !strings.Contains(v.DebugType, "int x @0") {
		t.Errorf("closure: %q", v.DebugType)
	}
}

func TestNoLayoutsWithoutDebugInfo(t *testing.T) {
	s := summarizeC(t, "layouts.c", layoutsC, "-O0")
	if v := variable(t, s, "all"); s.Layouts != nil || v.DebugType != "" || v.Aggregates != nil {
		t.Errorf("%v %+v", s.Layouts, v)
	}
}

// TestDiffLayoutsOfC: what users are told about an edit.
func TestDiffLayoutsOfC(t *testing.T) {
	const source = "struct leaf { int a; };\nenum color { RED, GREEN };\nstruct state { int id; float score; struct leaf leaf; union { int i; float f; }; struct state *next; unsigned bit : 3; };\nstruct state s; enum color c;\n"
	tests := []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"a line", "struct state s;", "\n\nstruct state s;", ""},
		{"member added at the end", "unsigned bit : 3;", "unsigned bit : 3; long more;", "struct state grew from 32 to 40 bytes|struct state: member more is new"},
		{"member inserted", "int id;", "int id; long extra;", "struct state grew from 32 to 48 bytes|struct state: member score moved from byte 4 to 16|" +
			"struct state: member leaf moved from byte 8 to 20|struct state: the member without a name moved from byte 12 to 24|" +
			"struct state: member next moved from byte 16 to 32|struct state: member bit moved from byte 24 to 40|struct state: member extra is new"},
		{"member gone", "unsigned bit : 3;", "", "struct state shrank from 32 to 24 bytes|struct state: member bit is gone"},
		{"type changed", "float score", "unsigned score", "struct state: member score changed from float to unsigned int"},
		{"members exchanged", "int id; float score;", "float score; int id;", "struct state: member id moved from byte 0 to 4|struct state: member score moved from byte 4 to 0"},
		{"wider bit-field", "bit : 3", "bit : 5", "struct state: member bit changed from 3 bits to 5 bits"},
		{"inner aggregate", "int a;", "int a, b;", "struct leaf grew from 4 to 8 bytes|struct leaf: member b is new|struct state grew from 32 to 40 bytes|" +
			"struct state: member leaf changed from 4 bytes to 8 bytes|struct state: the member without a name moved from byte 12 to 16|" +
			"struct state: member next moved from byte 16 to 24|struct state: member bit moved from byte 24 to 32"},
		{"anonymous member", "int i; float f;", "int i; int f;", "struct state: the member without a name changed from union { int i @0; float f @0; } to union { int i @0; int f @0; }"},
		{"value inserted", "RED, GREEN", "RED, BLUE, GREEN", "enum color: value GREEN changed from 1 to 2|enum color: value BLUE is new"},
		{"renamed", "struct leaf { int a; }", "struct leaf { int z; }", "struct leaf: member a is gone|struct leaf: member z is new"},
	}
	before := summarizeC(t, "diff.c", source, "-g")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after := summarizeC(t, "diff.c", strings.Replace(source, tt.old, tt.new, 1), "-g")
			var lines []string
			for _, c := range DiffLayouts(before.Layouts, after.Layouts, nil) {
				lines = append(lines, c.String())
			}
			if got := strings.Join(lines, "|"); got != tt.want {
				t.Errorf("\n got %s\nwant %s", strings.ReplaceAll(got, "|", "\n     "), strings.ReplaceAll(tt.want, "|", "\n     "))
			}
		})
	}
}

func TestDiffLayoutsRoots(t *testing.T) {
	old := map[string]Layout{"struct a": {Size: 4}, "struct b": {Size: 4}, "struct c": {Size: 4}}
	new := map[string]Layout{"struct a": {Size: 8}, "struct b": {Size: 8}, "struct d": {Size: 1}}
	got := fmt.Sprint(DiffLayouts(old, new, []string{"struct b", "struct c", "struct d", "struct e"}))
	if want := "[struct b grew from 4 to 8 bytes struct c is gone struct d is new]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
