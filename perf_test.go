package livejit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"livejit"
	"livejit/clang"
)

func TestPerfMap(t *testing.T) {
	e := newEngine(t, livejit.WithPerfMap())
	path := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	t.Cleanup(func() { os.Remove(path) })
	add(t, e, "f.ll", "define i64 @f() { ret i64 1 }\ndefine internal i64 @g() { ret i64 2 }\ndefine i64 @h() { %r = call i64 @g()  ret i64 %r }")
	line := func(name string) string {
		f := e.Function(name)
		return fmt.Sprintf("%x %x %s@%d\n", f.Versions()[0].Addr, f.Size(), name, f.Version())
	}
	first := line("f")
	replaceIR(t, e, "f.ll", "define i64 @f() { ret i64 3 }\ndefine internal i64 @g() { ret i64 2 }\ndefine i64 @h() { %r = call i64 @g()  ret i64 %r }")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{first, line("f"), line("h"), " g@1\n"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := bytes.Count(text, []byte("\n")); n != 4 {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// The dump is read back record by record, by the specification.
func TestJitDump(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, livejit.WithJitDump(dir), livejit.WithDebug())
	if _, err := e.Add(background, clang.Source("d.c", "int f(int x) {\n  return x + 1;\n}\n", clang.Options{Flags: []string{"-g"}})); err != nil {
		t.Fatal(err)
	}
	f := e.Function("f")
	start, size := uint64(f.Versions()[0].Addr), uint64(f.Size())
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "jit-*.dump"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if le.Uint32(b) != 0x4A695444 || le.Uint32(b[4:]) != 1 || le.Uint32(b[8:]) != 40 || le.Uint32(b[12:]) != 62 || le.Uint32(b[20:]) != uint32(os.Getpid()) {
		t.Fatalf("header % x", b[:40])
	}
	var kinds []uint32
	last := le.Uint64(b[24:])
	for b = b[40:]; len(b) > 0; {
		kind, length, stamp := le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:])
		if length < 16 || int(length) > len(b) || stamp < last {
			t.Fatalf("record %d of %d bytes at %d after %d, %d are left", kind, length, stamp, last, len(b))
		}
		kinds, last = append(kinds, kind), stamp
		record := b[16:length]
		b = b[length:]
		switch kind {
		case 2:
			if le.Uint64(record) != start || le.Uint64(record[8:]) < 2 {
				t.Errorf("debug info of %#x with %d entries", le.Uint64(record), le.Uint64(record[8:]))
			}
			if addr, line := le.Uint64(record[16:]), le.Uint32(record[24:]); addr != start || line != 1 || !bytes.HasPrefix(record[32:], []byte("d.c\x00")) {
				t.Errorf("first line %#x %d %q", addr, line, record[32:])
			}
		case 0:
			if le.Uint32(record) != uint32(os.Getpid()) || le.Uint64(record[8:]) != start || le.Uint64(record[16:]) != start || le.Uint64(record[24:]) != size || le.Uint64(record[32:]) != 0 {
				t.Errorf("code % x", record[:40])
			}
			name, code, _ := bytes.Cut(record[40:], []byte{0})
			if string(name) != "f@1" || uint64(len(code)) != size || code[0] != 0x55 { // push %rbp
				t.Errorf("%q, code % x", name, code)
			}
		}
	}
	if fmt.Sprint(kinds) != "[2 0 3]" {
		t.Errorf("records %v", kinds)
	}
}
