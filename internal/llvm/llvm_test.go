package llvm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// TestMain fails if a test left something open.
func TestMain(m *testing.M) {
	code := m.Run()
	if s := ReadStats(); code == 0 && (s.Contexts != 0 || s.Modules != 0 || s.Pipelines != 0 || s.Objects != 0) {
		fmt.Fprintf(os.Stderr, "left open: %+v\n", s)
		code = 1
	}
	os.Exit(code)
}

func newContext(t testing.TB) *Context {
	t.Helper()
	c := NewContext()
	t.Cleanup(c.Close)
	return c
}

func newPipeline(t testing.TB, o PipelineOptions) *Pipeline {
	t.Helper()
	p, err := NewPipeline(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// parse reads IR text that must be valid.
func parse(t testing.TB, c *Context, text string) *Module {
	t.Helper()
	m, err := c.ParseIR("test.ll", []byte(text))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(m.Close)
	return m
}

func prepare(t testing.TB, m *Module) *Summary {
	t.Helper()
	s, err := m.Prepare(PrepareOptions{})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if err := m.Verify(); err != nil {
		t.Fatalf("prepared module is invalid: %+v\n%s", err, m.Text())
	}
	return s
}

func cut(t testing.TB, m *Module, name string) *Module {
	t.Helper()
	f, err := m.Cut(name)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(f.Close)
	if err := f.Verify(); err != nil {
		t.Fatalf("cut module is invalid: %+v\n%s", err, f.Text())
	}
	return f
}

// object is an emitted ELF object, read back.
type object struct {
	*elf.File
	raw    []byte
	syms   []elf.Symbol // without the null symbol
	relocs map[string][]reloc
}

type reloc struct {
	off    uint64
	kind   elf.R_X86_64
	sym    string
	addend int64
	code   []byte // the section up to the relocated field
}

func emit(t testing.TB, p *Pipeline, m *Module) *object {
	t.Helper()
	o, err := p.Emit(m)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer o.Release()
	return readObject(t, bytes.Clone(o.Bytes()))
}

// readObject parses an object; relocations are listed by the symbol their section starts with.
func readObject(t testing.TB, raw []byte) *object {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	o := &object{File: f, raw: raw, relocs: map[string][]reloc{}}
	o.syms, err = f.Symbols()
	if err != nil && err != elf.ErrNoSymbols {
		t.Fatal(err)
	}
	owner := map[int]string{}
	for _, s := range o.syms {
		if typ := elf.ST_TYPE(s.Info); s.Section < elf.SHN_LORESERVE && typ != elf.STT_SECTION && typ != elf.STT_FILE && s.Value == 0 && s.Name != "" {
			owner[int(s.Section)] = s.Name
		}
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_RELA {
			continue
		}
		name := owner[int(s.Info)]
		if name == "" {
			name = f.Sections[s.Info].Name
		}
		data, _ := s.Data()
		code, _ := f.Sections[s.Info].Data()
		for ; len(data) >= 24; data = data[24:] {
			off, info := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
			sym := o.syms[info>>32-1]
			n := sym.Name
			if elf.ST_TYPE(sym.Info) == elf.STT_SECTION {
				n = f.Sections[sym.Section].Name
			}
			o.relocs[name] = append(o.relocs[name], reloc{off, elf.R_X86_64(info & 0xffffffff), n, int64(binary.LittleEndian.Uint64(data[16:])), code[:off]})
		}
	}
	return o
}

func (o *object) symbol(name string) *elf.Symbol {
	for i := range o.syms {
		if o.syms[i].Name == name {
			return &o.syms[i]
		}
	}
	return nil
}

// code returns the bytes of a function.
func (o *object) code(t testing.TB, name string) []byte {
	t.Helper()
	s := o.symbol(name)
	if s == nil || s.Section == elf.SHN_UNDEF {
		t.Fatalf("object has no %s", name)
	}
	d, err := o.Sections[s.Section].Data()
	if err != nil {
		t.Fatal(err)
	}
	return d[s.Value : s.Value+s.Size]
}

// refs formats the relocations of a section as "KIND sym", sorted and without repeats.
func (o *object) refs(section string) []string {
	seen := map[string]bool{}
	var out []string
	for _, r := range o.relocs[section] {
		s := strings.TrimPrefix(r.kind.String(), "R_X86_64_") + " " + r.sym
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	sort.Strings(out)
	return out
}

func tool(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// compileC makes bitcode of a C or C++ source with clang-22.
func compileC(t testing.TB, name, source string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	src := writeFile(t, dir, name, []byte(source))
	out := filepath.Join(dir, "out.bc")
	tool(t, "clang-22", append([]string{"-emit-llvm", "-c", "-fPIC", src, "-o", out}, flags...)...)
	bc, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return bc
}
