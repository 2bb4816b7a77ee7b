package livejit_test

import (
	"fmt"
	"testing"

	"livejit"
)

// mapped is a module with a record of each intrinsic. safepoint is a Go function.
func mapped(id int) string {
	return fmt.Sprintf(`
declare void @llvm.experimental.stackmap(i64, i32, ...)
declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)
declare token @llvm.experimental.gc.statepoint.p0(i64 immarg, i32 immarg, ptr, i32 immarg, i32 immarg, ...)
declare ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token, i32 immarg, i32 immarg)
declare void @safepoint()
define i64 @f(i64 %%a, ptr %%p) {
  call void (i64, i32, ...) @llvm.experimental.stackmap(i64 %[1]d1, i32 5, i64 %%a)
  %%r = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 %[1]d2, i32 15, ptr null, i32 1, i64 %%a, i64 7)
  ret i64 %%r
}
define i64 @twice(i64 %%a) {
  %%r = mul i64 %%a, 2
  ret i64 %%r
}
define ptr addrspace(1) @g(ptr addrspace(1) %%o) gc "statepoint-example" {
  %%t = call token (i64, i32, ptr, i32, i32, ...) @llvm.experimental.gc.statepoint.p0(i64 %[1]d3, i32 0, ptr elementtype(void ()) @safepoint, i32 0, i32 0, i32 0, i32 0) ["gc-live"(ptr addrspace(1) %%o)]
  %%r = call ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token %%t, i32 0, i32 0)
  ret ptr addrspace(1) %%r
}
`, id)
}

// TestStackMap looks records up by return address, over replacements and until their code is freed.
func TestStackMap(t *testing.T) {
	for _, level := range []int{0, 2} {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			e := newEngine(t, livejit.WithOptLevel(level))
			if err := e.Define("safepoint", func() {}); err != nil {
				t.Fatal(err)
			}
			m := add(t, e, "mapped.ll", mapped(1))
			add(t, e, "other.ll", "define i64 @other() { ret i64 1 }")
			check := func(name string, version int, ids ...uint64) []livejit.StackMap {
				t.Helper()
				list := e.Function(name).StackMaps()
				if len(list) != len(ids) {
					t.Fatalf("%s has %d records, want %d", name, len(list), len(ids))
				}
				for i, s := range list {
					found, ok := e.StackMap(s.Location.PC)
					if s.Record.ID != ids[i] || !ok || found.Record != s.Record || found.Location != s.Location {
						t.Errorf("record %d of %s is %d, want %d; its address finds %+v", i, name, s.Record.ID, ids[i], found)
					}
					if s.Location.Function != name || s.Location.Version != version || s.Location.Offset != uint64(s.Record.Offset) {
						t.Errorf("record %d of %s is at %v, offset %#x", i, name, s.Location, s.Record.Offset)
					}
				}
				return list
			}
			old := check("f", 1, 11, 12)
			check("g", 1, 13)
			check("twice", 1)
			if s, ok := e.Function("g").StackMaps()[0].Record.Statepoint(); !ok || len(s.Roots) != 1 {
				t.Errorf("statepoint %+v (%t)", s, ok)
			}
			if _, ok := e.StackMap(old[0].Location.PC + 1); ok {
				t.Error("a record between two places")
			}

			pin, err := e.Function("f").Pin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Replace(background, livejit.IR("mapped.ll", mapped(2))); err != nil {
				t.Fatal(err)
			}
			check("f", 2, 21, 22)
			check("g", 2, 23)
			if s, ok := e.StackMap(old[1].Location.PC); !ok || s.Record.ID != 12 || s.Location.Version != 1 {
				t.Errorf("the old version's record: %+v (%t)", s, ok)
			}
			pin.Release()
			if err := e.Quiesce(background); err != nil {
				t.Fatal(err)
			}
			if s, ok := e.StackMap(old[1].Location.PC); ok && s.Record.ID == 12 {
				t.Error("a record outlives its code")
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if _, ok := e.StackMap(old[1].Location.PC); ok {
				t.Error("a record outlives its module")
			}
		})
	}
}
