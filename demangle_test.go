package livejit_test

import (
	"context"
	"strings"
	"testing"

	"livejit"
)

func TestDemangle(t *testing.T) {
	for name, want := range map[string]string{
		"_ZN1c1mEi": "c::m(int)", "_ZTV1c": "vtable for c", "main": "main", "_Z": "_Z", "": "", "_Znonsense": "_Znonsense", "operator new": "operator new",
	} {
		if got := livejit.Demangle(name); got != want {
			t.Errorf("Demangle(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestVtableChange: a table of virtual functions that changes is refused, and taken when the
// transaction says that no object lives.
func TestVtableChange(t *testing.T) {
	const before = "@_ZTV1c = constant [1 x ptr] [ptr @m]\n define i32 @m() { ret i32 1 }"
	const after = "@_ZTV1c = constant [2 x ptr] [ptr @n, ptr @m]\n define i32 @m() { ret i32 1 }\n define i32 @n() { ret i32 2 }"
	ctx := context.Background()
	eng := newEngine(t)
	if _, err := eng.Add(ctx, livejit.IR("c.ll", before)); err != nil {
		t.Fatal(err)
	}
	_, err := eng.Replace(ctx, livejit.IR("c.ll", after))
	if err == nil || !strings.Contains(err.Error(), "virtual functions") {
		t.Errorf("Replace = %v, want a refusal", err)
	}
	if eng.Function("n") != nil {
		t.Error("n is loaded by a transaction that was refused")
	}
	_, err = eng.Update(ctx, func(u *livejit.Update) error {
		u.Migrate("_ZTV1c", func([]byte, []byte) error { return nil })
		u.Replace(livejit.IR("c.ll", after))
		return nil
	})
	if err != nil || eng.Function("n") == nil {
		t.Errorf("Update with Migrate = %v", err)
	}
}
