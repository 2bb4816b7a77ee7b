package llvm

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeepValues(t *testing.T) {
	c := NewContext()
	defer c.Close()
	m, err := c.ParseIR("t.ll", []byte(`
%pair = type { i64, double }
define void @f(i1 %cond) {
  %a = add i64 1, 2
  %frame = alloca %pair
  %inside = getelementptr %pair, ptr %frame, i64 0, i32 1
  %p = load %pair, ptr %frame
  br i1 %cond, label %maybe, label %end
maybe:
  %b = add i64 3, 4
  br label %end
end:
  %c = phi i64 [ %a, %0 ], [ %b, %maybe ]
  %1 = add i64 %c, 1
  ret void
}`))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	list, err := m.KeepValues("f", ".9")
	if want := "[{a %a.9 i64} {p %p.9 %pair} {c %c.9 i64}]"; err != nil || fmt.Sprint(list) != want {
		t.Errorf("kept %v, %v; want %s", list, err, want)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
	if text := m.Text(); !strings.Contains(text, `store %pair %p, ptr @"%p.9"`) || !strings.Contains(text, `@"%c.9" = global i64 0`) {
		t.Error(text)
	}
}

func TestShowLast(t *testing.T) {
	for body, want := range map[string]struct{ shown, call string }{
		"%x = add i64 1, 2\n ret void":                                     {"i64", "store i64 %x"},
		"%x = add i5 1, 2\n ret void":                                      {"i5", "sext i5 %x to i8"},
		"%x = icmp eq i8 1, 2\n ret void":                                  {"i1", "store i1 %x"},
		"%x = load %pair, ptr null\n ret void":                             {"%pair", "store %pair %x"},
		"store i8 1, ptr null\n ret void":                                  {"", ""},
		"ret void":                                                         {"", ""},
		"br label %a\na: %x = phi i8 [ 1, %0 ]\n br label %b\nb: ret void": {"", ""},
	} {
		c := NewContext()
		m, err := c.ParseIR("t.ll", []byte("%pair = type { i64, double }\ndefine void @f() {\n"+body+"\n}\n"))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		shown, err := m.ShowLast("f", "show")
		if err != nil || shown != want.shown {
			t.Errorf("%s: shows %q, %v; want %q", body, shown, err, want.shown)
		}
		if err := m.Verify(); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if text := m.Text(); !strings.Contains(text, want.call) || (want.call != "") != strings.Contains(text, "call void @show(ptr") {
			t.Errorf("%s becomes\n%s", body, text)
		}
		if _, err := m.ShowLast("g", "show"); err == nil {
			t.Error("no error for a function that is not there")
		}
		m.Close()
		c.Close()
	}
}
