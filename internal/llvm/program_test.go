package llvm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program is one way to compile a program of testdata/programs.
type program struct {
	file  string
	flags []string
}

func (p program) name() string { return p.file + strings.Join(p.flags, "") }

func programs() []program {
	var ps []program
	for _, f := range []string{"statics.c", "labels.c", "symbols.c", "objects.cpp"} {
		for _, flags := range [][]string{{"-O0", "-g"}, {"-O2"}, {"-O2", "-g", "-Xclang", "-disable-llvm-passes"}} {
			ps = append(ps, program{f, flags})
		}
	}
	return ps
}

var builds = map[string]func() ([]byte, string){} // by program; tests here are not parallel

// build returns the program's bitcode and what it prints when clang builds it.
func (p program) build(t testing.TB) (bitcode []byte, output string) {
	t.Helper()
	b := builds[p.name()]
	if b == nil {
		bitcode, output = p.compile(t)
		b = func() ([]byte, string) { return bitcode, output }
		builds[p.name()] = b
	}
	return b()
}

func (p program) compile(t testing.TB) (bitcode []byte, output string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata/programs", p.file))
	if err != nil {
		t.Fatal(err)
	}
	bitcode = compileC(t, p.file, string(src), p.flags...)
	dir := t.TempDir()
	return bitcode, link(t, dir, writeFile(t, dir, "whole.bc", bitcode))
}

// link makes a program of objects or bitcode files and runs it.
func link(t testing.TB, dir string, files ...string) string {
	t.Helper()
	exe := filepath.Join(dir, "exe")
	tool(t, "clang++-22", append(files, "-Wno-override-module", "-o", exe)...)
	return string(tool(t, exe))
}

func parseBitcodeFile(t testing.TB, c *Context, name string, bc []byte) *Module {
	t.Helper()
	m, err := c.ParseBitcode(name, bc)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(m.Close)
	return m
}

// TestSplitPrograms splits programs, links the parts again with llvm-link, and runs the result.
func TestSplitPrograms(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name(), func(t *testing.T) {
			bc, want := p.build(t)
			m := parseBitcodeFile(t, newContext(t), p.file, bc)
			defined := strings.Count(m.Text(), "\ndefine ")
			dir := t.TempDir()
			var files []string
			n := 0
			for part, err := range m.Split(SplitOptions{}) {
				if err != nil {
					t.Fatalf("%+v", err)
				}
				if err := part.Module.Verify(); err != nil {
					t.Fatalf("part %s: %+v", part.Name, err)
				}
				if want := len(part.Functions); part.Name != "data" && (want == 0 || part.Name != part.Functions[0]) {
					t.Errorf("part %s has functions %v", part.Name, part.Functions)
				}
				b, err := part.Module.Bitcode()
				if err != nil {
					t.Fatal(err)
				}
				n += len(part.Functions)
				files = append(files, writeFile(t, dir, fmt.Sprintf("part%d.bc", len(files)), b))
			}
			if n > defined || n == 0 {
				t.Errorf("parts have %d functions, the module %d", n, defined)
			}
			all := filepath.Join(dir, "all.bc")
			tool(t, "llvm-link-22", append(files, "-o", all)...)
			if got := link(t, dir, all); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(p.name(), "-g") {
				if dump := tool(t, "llvm-dwarfdump-22", "--verify", compileObject(t, dir, all)); !bytes.Contains(dump, []byte("No errors")) {
					t.Errorf("%s", dump)
				}
			}
		})
	}
}

func compileObject(t testing.TB, dir, bc string) string {
	out := filepath.Join(dir, "all.o")
	tool(t, "clang-22", "-c", bc, "-o", out, "-Wno-override-module")
	return out
}

// TestCutPrograms cuts every function out of prepared programs and compiles it alone; the functions linked from
// there, with only the data from the whole module, must make the same program.
func TestCutPrograms(t *testing.T) {
	for _, p := range programs() {
		for _, level := range []int{0, 2} {
			if level > 0 && testing.Short() {
				continue
			}
			t.Run(fmt.Sprintf("%s/O%d", p.name(), level), func(t *testing.T) {
				bc, want := p.build(t)
				c := newContext(t)
				pipe := newPipeline(t, PipelineOptions{OptLevel: level})
				dir := t.TempDir()
				m := parseBitcodeFile(t, c, p.file, bc)
				s := prepare(t, m)
				var files []string
				for _, f := range s.Functions {
					if !f.Defined {
						continue
					}
					fm := cut(t, m, f.Name)
					if fm.Functions[0] != f.Name {
						t.Errorf("cut of %s has %v", f.Name, fm.Functions)
					}
					o := emit(t, pipe, fm)
					if o.symbol(f.Name) == nil {
						t.Errorf("%s is not in its object", f.Name)
					}
					// A comdat's members come one by one here: ld would keep those of the first object only.
					files = append(files, writeFile(t, dir, fmt.Sprintf("f%d.o", len(files)), withoutGroups(o)))
				}
				files = append(files, writeFile(t, dir, "whole.o", emit(t, pipe, m).raw))
				if got := link(t, dir, append(files, "-Wl,--allow-multiple-definition")...); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// withoutGroups returns the object with its section groups dissolved.
func withoutGroups(o *object) []byte {
	raw := bytes.Clone(o.raw)
	headers := binary.LittleEndian.Uint64(raw[40:])
	for i, s := range o.Sections {
		h := raw[headers+uint64(i)*64:]
		if s.Type == elf.SHT_GROUP {
			binary.LittleEndian.PutUint32(h[4:], uint32(elf.SHT_NULL))
		}
		binary.LittleEndian.PutUint64(h[8:], uint64(s.Flags&^elf.SHF_GROUP))
	}
	return raw
}

// TestCutUnprepared cuts before preparing; the parts must be valid, prepare and compile.
func TestCutUnprepared(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name(), func(t *testing.T) {
			bc, _ := p.build(t)
			c := newContext(t)
			pipe := newPipeline(t, PipelineOptions{})
			m := parseBitcodeFile(t, c, p.file, bc)
			before := m.Text()
			s := prepare(t, parseBitcodeFile(t, c, p.file, bc))
			for _, f := range s.Functions {
				if !f.Defined {
					continue
				}
				fm := cut(t, m, f.Name)
				prepare(t, fm)
				emit(t, pipe, fm).code(t, f.Name)
			}
			if m.Text() != before {
				t.Error("cutting changed the module")
			}
		})
	}
}
