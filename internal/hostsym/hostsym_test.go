package hostsym

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// library compiles source into a shared library.
func library(t *testing.T, name, source string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	c, so := filepath.Join(dir, name+".c"), filepath.Join(dir, "lib"+name+".so")
	if err := os.WriteFile(c, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-O1", "-o", so, c}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return so
}

func open(t *testing.T, path string) *Library {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLookupProcess(t *testing.T) {
	for name, want := range map[string]Kind{
		"malloc": Func, "printf": Func, "memcpy": IFuncResolved, "strlen": IFuncResolved, "stderr": Data, "environ": Data,
		"_ZSt4cout": Data, "_ZSt9terminatev": Func, "__gxx_personality_v0": Func, "_Unwind_Resume": Func, "__udivti3": Func, "sin": IFuncResolved,
		"hypot": Func, "pthread_create": Func, "dlopen": Func, "__errno_location": Func, "_ZTVN10__cxxabiv117__class_type_infoE": Data,
		"_ZTISt9exception": Data, "errno": TLS, "signgam": Data,
	} {
		s, ok := Lookup(name)
		if name == "errno" && !ok { // GLIBC_PRIVATE only
			continue
		}
		if !ok || s.Kind != want || (s.Addr == 0) != (want == TLS) || s.Name != name {
			t.Errorf("%s: %+v %v, want %v", name, s, ok, want)
		}
	}
	if s, _ := Lookup("stderr"); s.Size != 8 {
		t.Error(s)
	}
	for _, name := range []string{"main", "_end", "crosscall2", "_cgo_panic", "no_such_symbol", "", "a\x00b", "hs_lookup"} {
		if s, ok := Lookup(name); ok {
			t.Errorf("%q is found: %+v", name, s)
		}
	}
}

func TestLibrary(t *testing.T) {
	path := library(t, "kinds", `
		int number = 5; const int constant[4] = {1}; int common;
		int twice(int x) { return 2 * x; }
		static int chosen(void) { return 9; }
		static void *choose(void) { return chosen; }
		int choice(void) __attribute__((ifunc("choose")));
		__thread int lazy = 3; __thread char big[100000];
		void *malloc(unsigned long n) { return 0; }
		__asm__(".globl old\n old: ret\n .symver old,versioned@V1\n .globl new\n new: ret\n .symver new,versioned@@V2\n .globl absolute\n absolute = 0x1234\n");
	`, "-Wl,--version-script,"+versionScript(t))
	l := open(t, path)
	for name, want := range map[string]Symbol{
		"number": {Kind: Data, Size: 4}, "constant": {Kind: Data, Size: 16}, "common": {Kind: Data, Size: 4}, "twice": {Kind: Func},
		"choice": {Kind: IFuncResolved}, "lazy": {Kind: TLS, Size: 4}, "versioned": {Kind: Func}, "absolute": {Kind: Data},
	} {
		s, ok := l.Lookup(name)
		if !ok || s.Kind != want.Kind || want.Size != 0 && s.Size != want.Size {
			t.Errorf("%s: %+v %v", name, s, ok)
		}
		if s.Kind == TLS && (s.TLS.Module == 0 || s.TLS.Static) {
			t.Errorf("%s: %+v", name, s)
		}
		if _, ok := Lookup(name); ok {
			t.Errorf("%s is visible in the process", name)
		}
	}
	if s, _ := l.Lookup("absolute"); s.Addr != 0x1234 {
		t.Errorf("%+v", s)
	}
	a, _ := l.Lookup("lazy")
	b, _ := l.Lookup("big")
	if a.TLS.Module != b.TLS.Module || a.TLS.Offset == b.TLS.Offset || b.Size != 100000 {
		t.Errorf("%+v %+v", a, b)
	}
	// The process wins over libraries.
	own, _ := l.Lookup("malloc")
	first, _ := LookupIn("malloc", []*Library{l})
	process, _ := Lookup("malloc")
	if own.Addr == process.Addr || first != process {
		t.Error(own, first, process)
	}
	if s, ok := LookupIn("twice", []*Library{l}); !ok || s.Kind != Func {
		t.Error(s)
	}
	if _, ok := LookupIn("thrice", []*Library{l}); ok {
		t.Error("found")
	}
	twice, _ := l.Lookup("twice")
	if file, symbol, start := Origin(twice.Addr + 1); file != path || symbol != "twice" || start != twice.Addr {
		t.Error(file, symbol)
	}
}

func versionScript(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "versions")
	if err := os.WriteFile(path, []byte("V1 { global: *; };\nV2 { global: versioned; } V1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStaticTLS(t *testing.T) {
	l := open(t, library(t, "statictls", `
		__thread int fixed __attribute__((tls_model("initial-exec"))) = 7;
		int get(void) { return fixed; }`))
	s, ok := l.Lookup("fixed")
	if !ok || s.Kind != TLS || !s.TLS.Static || s.TLS.TPOffset >= 0 || s.Addr != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOpenErrors(t *testing.T) {
	var e *OpenError
	for _, path := range []string{"/no/such/lib.so", "/etc/passwd", "a\x00b"} {
		if _, err := Open(path); !errors.As(err, &e) || e.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	l := open(t, library(t, "small", "int small;"))
	if l.Close() != nil || l.Close() != nil {
		t.Error("close")
	}
	if _, ok := l.Lookup("small"); ok {
		t.Error("found in a closed library")
	}
	if file, symbol, start := Origin(8); file != "" || symbol != "" || start != 0 {
		t.Error(file, symbol)
	}
}

func TestFindSystem(t *testing.T) {
	for name, want := range map[string]string{"m": "libm.so.6", "c": "libc.so.6", "stdc++": "libstdc++.so", ":libc.so.6": "libc.so.6", "gcc": "libgcc.a"} {
		path, archive, err := FindLibrary(name, nil)
		if err != nil || filepath.Base(path) != want || archive != (name == "gcc") {
			t.Errorf("%s: %s %v %v", name, path, archive, err)
		}
	}
	files, err := Find("c", nil)
	if err != nil || len(files) < 2 || !files[1].Archive || !files[len(files)-1].AsNeeded {
		t.Errorf("%+v %v", files, err)
	}
}

func TestFind(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	so := elfHeader(62)
	write := func(dir, name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	archive := "!<arch>\n"
	write(first, "libboth.a", archive)
	write(second, "libboth.so", so)
	write(first, "libpair.so", so)
	write(first, "libpair.a", archive)
	write(first, "libforeign.so", elfHeader(183))
	write(second, "libforeign.so", so)
	write(first, "libonlyforeign.so", elfHeader(3))
	write(first, "odd.name", so)
	write(first, "libscript.so", "/* GNU ld script\n */ OUTPUT_FORMAT(elf64-x86-64)\nGROUP ( "+second+"/libboth.so -lpair, odd.name AS_NEEDED ( missing.so libpair.a ) )")
	write(first, "libloop.so", "INPUT(-lloop)")
	write(first, "libbad.so", "INPUT(a b")
	write(first, "libtext.so", "hello")
	write(first, "libdangling.so", "\n\nINPUT(nowhere.so)")
	write(first, "libempty.so", "")
	if err := os.Mkdir(filepath.Join(first, "libdir.so"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"both": first + "/libboth.a", "pair": first + "/libpair.so", "foreign": second + "/libforeign.so", ":odd.name": first + "/odd.name",
		"script": second + "/libboth.so," + first + "/libpair.so," + first + "/odd.name," + first + "/libpair.a?",
		"loop":   "error: too deeply", "bad": "error: libbad.so:1: ends inside a list", "text": `error: has "hello"`, "dangling": "error: libdangling.so:3: names nowhere.so",
		"onlyforeign": "error: EM_386", "dir": "error: not a regular file", "empty": "error: is not found",
		"none": "error: library -lnone is not found; searched " + first, ":none": "error: is not found",
	} {
		files, err := Find(name, []string{first, second})
		var got []string
		for _, f := range files {
			s := f.Path
			if f.AsNeeded {
				s += "?"
			}
			if f.Archive != strings.HasSuffix(f.Path, ".a") {
				t.Errorf("%+v", f)
			}
			got = append(got, s)
		}
		if message, bad := strings.CutPrefix(want, "error: "); bad {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: %v, want %s", name, err, message)
			}
		} else if err != nil || strings.Join(got, ",") != want {
			t.Errorf("%s: %v %v, want %s", name, got, err, want)
		}
	}
}

func elfHeader(machine byte) string {
	h := make([]byte, 64)
	copy(h, "\x7fELF\x02\x01\x01")
	h[16], h[18] = 3, machine
	return string(h)
}

func TestFindInCache(t *testing.T) {
	data, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil {
		t.Skip("no loader cache:", err)
	}
	if path := newestInCache(data, "libc.so"); filepath.Base(path) != "libc.so.6" {
		t.Error(path)
	}
	path, archive, err := FindLibrary("gcc_s", nil)
	if err != nil || archive || !strings.HasPrefix(filepath.Base(path), "libgcc_s.so") {
		t.Error(path, archive, err)
	}
	f := &finder{cache: "/etc/ld.so.cache"}
	if files, err := f.locate("c"); err != nil || filepath.Base(files[0].Path) != "libc.so.6" {
		t.Error(files, err)
	}
}

func TestCompareVersions(t *testing.T) {
	for _, pair := range [][2]string{{"9", "10"}, {"1.2", "1.10"}, {"1", "1.0"}, {"a2", "b1"}, {"6", "6.1"}, {"01", "2"}} {
		if compareVersions(pair[0], pair[1]) >= 0 || compareVersions(pair[1], pair[0]) <= 0 || compareVersions(pair[0], pair[0]) != 0 {
			t.Error(pair)
		}
	}
}

func FuzzScript(f *testing.F) {
	f.Add([]byte("/* x */ GROUP ( /a/b.so.6 AS_NEEDED ( -lfoo \"q r\" ) )\nOUTPUT_FORMAT(elf64-x86-64)"))
	f.Add([]byte("INPUT(a,b;c)"))
	f.Fuzz(func(t *testing.T, data []byte) {
		inputs, err := parseScript("script", data)
		var e *ScriptError
		if err != nil && (!errors.As(err, &e) || e.Line < 1) {
			t.Error(err)
		}
		for _, in := range inputs {
			if in.line < 1 {
				t.Error(in)
			}
		}
	})
}

func FuzzCache(f *testing.F) {
	if data, err := os.ReadFile("/etc/ld.so.cache"); err == nil && len(data) < 1<<16 {
		f.Add(data)
	}
	f.Add([]byte(cacheMagic + "\xff\xff\xff\xff0000000000000000000000000000000000000000000000000000"))
	f.Fuzz(func(t *testing.T, data []byte) { newestInCache(data, "libc.so") })
}
