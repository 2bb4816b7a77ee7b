package llvm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const collected = `
define ptr addrspace(1) @f(ptr addrspace(1) %o) gc "statepoint-example" {
  %v = alloca ptr addrspace(1)
  store ptr addrspace(1) %o, ptr %v
  call void @g()
  %r = load ptr addrspace(1), ptr %v
  ret ptr addrspace(1) %r
}
define void @leaf() gc "coreclr" {
  call void @l()
  ret void
}
define void @plain() {
  call void @g()
  ret void
}
define void @shadow() gc "shadow-stack" { ret void }
declare void @g()
declare void @l() "gc-leaf-function"
`

// TestStatepoints: functions with garbage collection get stack maps if asked for, at each level, also when they are cut out; a pipeline that has refused one goes on.
func TestStatepoints(t *testing.T) {
	for _, level := range []int{0, 2} {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			c, p := newContext(t), newPipeline(t, PipelineOptions{OptLevel: level, Statepoints: true})
			parsed := func(text string) *Module {
				m, err := c.ParseIR("m.ll", []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(m.Close)
				s := prepare(t, m)
				for _, f := range s.Functions {
					if want := f.Name == "f" || f.Name == "leaf"; f.Collected != want {
						t.Errorf("%s: collected %t", f.Name, f.Collected)
					}
				}
				return m
			}
			var e *Error
			_, err := p.Emit(parsed(strings.Replace(collected, "call void @g()", "call void @k(ptr %v)", 1) + "declare void @k(ptr)"))
			if !errors.As(err, &e) || e.Kind != KindCodegen || !strings.Contains(err.Error(), "in function f: pointers of address space 1 are in a stack object") {
				t.Errorf("a variable whose address is taken: %v", err)
			}
			m := parsed(collected)
			cut, err := m.CutSet([]string{"leaf"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cut.Close)
			if emit(t, p, cut).Section(".llvm_stackmaps") != nil {
				t.Error("a call of a leaf has a stack map")
			}
			maps := emit(t, p, m).Section(".llvm_stackmaps")
			if maps == nil {
				t.Fatal("no stack maps")
			}
			if without := emit(t, newPipeline(t, PipelineOptions{OptLevel: level}), parsed(collected)); without.Section(".llvm_stackmaps") != nil {
				t.Error("stack maps that nobody has asked for")
			}
		})
	}
}
