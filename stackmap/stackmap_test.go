package stackmap

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const declarations = `
declare void @llvm.experimental.stackmap(i64, i32, ...)
declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)
declare token @llvm.experimental.gc.statepoint.p0(i64 immarg, i32 immarg, ptr, i32 immarg, i32 immarg, ...)
declare ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token, i32 immarg, i32 immarg)
declare void @safepoint()
`

// corpus generates modules with records of all kinds: values in registers, on the stack, constants small and large, dynamic frames,
// live-out registers, roots and their derived pointers.
func corpus(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	value := func() string {
		return [...]string{"i64 %a", "i64 %b", "ptr %p", "ptr %s", "double %d", "i32 -3", "i64 1234567890123", "i64 -1", "i64 42", "i8 7", "i32 %i", "i64 %x"}[r.IntN(12)]
	}
	values := func() string {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(", " + value())
		}
		return b.String()
	}
	var texts []string
	for m := range n {
		b := bytes.NewBufferString(declarations)
		for f := range 1 + r.IntN(4) {
			fmt.Fprintf(b, "define i64 @f%d(i64 %%a, i64 %%b, ptr %%p, double %%d, i32 %%i) {\n  %%s = alloca [%d x i64]\n  %%x = add i64 %%a, %%b\n", f, 1+r.IntN(8))
			if r.IntN(4) == 0 {
				fmt.Fprintf(b, "  %%dyn = alloca i8, i64 %%a\n  store i8 1, ptr %%dyn\n")
			}
			for c := range r.IntN(4) {
				if r.IntN(2) == 0 {
					fmt.Fprintf(b, "  call void (i64, i32, ...) @llvm.experimental.stackmap(i64 %d, i32 %d%s)\n", r.Uint64()>>1, r.IntN(9), values())
				} else {
					fmt.Fprintf(b, "  %%r%d = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 %d, i32 15, ptr %%p, i32 1, i64 %%x%s)\n", c, r.Uint64()>>1, values())
				}
			}
			fmt.Fprintf(b, "  %%y = mul i64 %%x, %%b\n  ret i64 %%y\n}\n")
		}
		fmt.Fprintf(b, `define ptr addrspace(1) @g(ptr addrspace(1) %%o, ptr addrspace(1) %%q, i64 %%a) gc "statepoint-example" {
  %%in = getelementptr i8, ptr addrspace(1) %%o, i64 %%a
  %%t = call token (i64, i32, ptr, i32, i32, ...) @llvm.experimental.gc.statepoint.p0(i64 %d, i32 0, ptr elementtype(void ()) @safepoint, i32 0, i32 0, i32 0, i32 0) ["deopt"(i32 4, i64 5000000000, i64 %%a), "gc-live"(ptr addrspace(1) %%o, ptr addrspace(1) %%in, ptr addrspace(1) %%q)]
  %%d = call ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token %%t, i32 0, i32 1)
  %%q2 = call ptr addrspace(1) @llvm.experimental.gc.relocate.p1(token %%t, i32 2, i32 2)
  store i64 %%a, ptr addrspace(1) %%q2
  ret ptr addrspace(1) %%d
}
`, 1000+m)
		texts = append(texts, b.String())
	}
	return texts
}

// compile makes an object by LLVM's own compiler and returns its path.
func compile(t testing.TB, text, level string) string {
	t.Helper()
	dir := t.TempDir()
	source, object := filepath.Join(dir, "m.ll"), filepath.Join(dir, "m.o")
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("llc-22", level, "-filetype=obj", source, "-o", object).CombinedOutput(); err != nil {
		t.Fatalf("llc: %v\n%s\n%s", err, out, text)
	}
	return object
}

func section(t testing.TB, object string) []byte {
	t.Helper()
	f, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".llvm_stackmaps")
	if s == nil {
		t.Fatal("no stack map")
	}
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// text prints a map as llvm-readobj --stackmap does.
func text(m Map) string {
	var b strings.Builder
	records := 0
	fmt.Fprintf(&b, "LLVM StackMap Version: %d\nNum Functions: %d\n", Version, len(m.Functions))
	for _, f := range m.Functions {
		fmt.Fprintf(&b, "  Function address: %d, stack size: %d, callsite record count: %d\n", f.Address, f.StackSize, len(f.Records))
		records += len(f.Records)
	}
	fmt.Fprintf(&b, "Num Constants: %d\n", len(m.Constants))
	for i, c := range m.Constants {
		fmt.Fprintf(&b, "  #%d: %d\n", i+1, c)
	}
	fmt.Fprintf(&b, "Num Records: %d\n", records)
	for _, f := range m.Functions {
		for _, r := range f.Records {
			fmt.Fprintf(&b, "  Record ID: %d, instruction offset: %d\n    %d locations:\n", r.ID, r.Offset, len(r.Locations))
			for i, l := range r.Locations {
				fmt.Fprintf(&b, "      #%d: ", i+1)
				switch l.Kind {
				case Register:
					fmt.Fprintf(&b, "Register R#%d", l.Reg)
				case Direct:
					fmt.Fprintf(&b, "Direct R#%d + %d", l.Reg, l.Offset)
				case Indirect:
					fmt.Fprintf(&b, "Indirect [R#%d + %d]", l.Reg, l.Offset)
				case Constant:
					fmt.Fprintf(&b, "Constant %d", uint32(l.Offset))
				case ConstantIndex:
					fmt.Fprintf(&b, "ConstantIndex #%d (%d)", l.Offset, l.Value)
				}
				fmt.Fprintf(&b, ", size: %d\n", l.Size)
			}
			fmt.Fprintf(&b, "    %d live-outs: [ ", len(r.LiveOuts))
			for _, l := range r.LiveOuts {
				fmt.Fprintf(&b, "R#%d (%d-bytes) ", l.Reg, l.Size)
			}
			b.WriteString("]\n")
		}
	}
	return b.String()
}

// TestAgainstReadobj compares all records of a generated corpus with what LLVM's own reader prints of the same objects.
func TestAgainstReadobj(t *testing.T) {
	seen := map[Kind]int{}
	records := 0
	for i, source := range corpus(12) {
		level := [...]string{"-O0", "-O2"}[i%2]
		object := compile(t, source, level)
		out, err := exec.Command("llvm-readobj-22", "--stackmap", object).Output()
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(string(out), "LLVM StackMap")
		maps, err := Parse(section(t, object))
		if err != nil || len(maps) != 1 {
			t.Fatalf("%d maps: %v", len(maps), err)
		}
		if got := text(maps[0]); got != "LLVM StackMap"+want {
			t.Errorf("%s: got\n%swant\nLLVM StackMap%s", level, got, want)
		}
		for _, f := range maps[0].Functions {
			for _, r := range f.Records {
				records++
				for _, l := range r.Locations {
					seen[l.Kind]++
				}
			}
		}
	}
	for k := Register; k <= ConstantIndex; k++ {
		if seen[k] == 0 {
			t.Errorf("the corpus has no location of kind %v", k)
		}
	}
	if records < 50 {
		t.Errorf("the corpus has %d records", records)
	}
}

func TestStatepoint(t *testing.T) {
	for _, level := range []string{"-O0", "-O2"} {
		maps, err := Parse(section(t, compile(t, corpus(1)[0], level)))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range maps[0].Functions {
			for i := range f.Records {
				s, ok := f.Records[i].Statepoint()
				if f.Records[i].ID != 1000 {
					continue
				}
				found++
				if !ok || len(s.Deopt) != 3 || s.Deopt[0].Value != 4 || s.Deopt[1].Value != 5000000000 || len(s.Roots) != 2 || len(s.Allocas) != 0 {
					t.Fatalf("%s: statepoint %+v (%t)", level, s, ok)
				}
				if (s.Roots[0].Base == s.Roots[0].Derived) == (s.Roots[1].Base == s.Roots[1].Derived) { // one pointer leads into an object
					t.Errorf("%s: roots %v", level, s.Roots)
				}
			}
		}
		if found != 1 {
			t.Errorf("%s: %d statepoints", level, found)
		}
	}
}

// TestSeveralMaps reads a section that a linker has joined from several objects.
func TestSeveralMaps(t *testing.T) {
	var objects []string
	want := 0
	for i, source := range corpus(3) {
		source = strings.NewReplacer("@f", fmt.Sprintf("@m%df", i), "@g(", fmt.Sprintf("@m%dg(", i)).Replace(source)
		objects = append(objects, compile(t, source, "-O1"))
		want++
	}
	joined := filepath.Join(t.TempDir(), "joined.o")
	if out, err := exec.Command("ld", append([]string{"-r", "-o", joined}, objects...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	maps, err := Parse(section(t, joined))
	if err != nil || len(maps) != want {
		t.Errorf("%d maps, want %d: %v", len(maps), want, err)
	}
}

// TestBroken cuts a section at every length and changes every byte: an error or a result, never a crash, and errors name a place.
func TestBroken(t *testing.T) {
	good := section(t, compile(t, corpus(1)[0], "-O2"))
	for n := 1; n < len(good); n++ {
		var e *FormatError
		if _, err := Parse(good[:n]); !errors.As(err, &e) || e.Offset > n {
			t.Errorf("cut to %d of %d bytes: %v", n, len(good), err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0xff
		Parse(bad)
	}
	for name, data := range map[string][]byte{"version": append([]byte{2}, good[1:]...), "more functions than bytes": append([]byte{3, 0, 0, 0, 255, 255, 255, 255}, good[8:]...)} {
		if _, err := Parse(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if maps, err := Parse(nil); err != nil || maps != nil {
		t.Errorf("nothing: %v, %v", maps, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, source := range corpus(2) {
		f.Add(section(f, compile(f, source, "-O2")))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		maps, err := Parse(data)
		if err != nil {
			return
		}
		for _, m := range maps {
			text(m)
			for _, function := range m.Functions {
				for i := range function.Records {
					function.Records[i].Statepoint()
				}
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	data := section(b, compile(b, corpus(1)[0], "-O2"))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
