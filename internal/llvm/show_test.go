package llvm

import (
	"strings"
	"testing"
)

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
