package clang_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"livejit"
	"livejit/clang"
)

// generate translates text, and returns what was wrong as text.
func generate(name, text string, flags ...string) string {
	said := ""
	_, err := clang.Source(name, text, clang.Options{Flags: flags, Warnings: func(w string) { said = w }}).Generate(context.Background())
	if err != nil {
		return fmt.Sprintf("%+v", err)
	}
	return said
}

// TestDriverIsAskedAgain: what the driver has made of a command line is used again only where it would make the same. Each
// translation is done twice first, so that it is kept. Leaving the environment or the working directory out of keyOf fails it, and so
// does keeping what the driver has warned of.
func TestDriverIsAskedAgain(t *testing.T) {
	eng, err := livejit.New(livejit.WithDebug())
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	dir := t.TempDir()
	for _, d := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d, "which.h"), []byte("#warning "+d+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const which = "#include \"which.h\"\n"
	twice := func(name, text string, flags ...string) string {
		t.Helper()
		first := generate(name, text, flags...)
		if second := generate(name, text, flags...); second != first {
			t.Errorf("%s says\n%s\nand then\n%s", name, first, second)
		}
		return first
	}
	want := func(what, said, text string) {
		t.Helper()
		if !strings.Contains(said, text) {
			t.Errorf("%s: %q does not say %q", what, said, text)
		}
	}
	want("nothing", twice("a.c", which), "'which.h' file not found")
	for _, d := range []string{"one", "two"} {
		t.Setenv("CPATH", filepath.Join(dir, d))
		want("the environment", twice("a.c", which), "#warning "+d)
	}
	t.Setenv("CPATH", "")
	for _, d := range []string{"one", "two"} {
		t.Chdir(filepath.Join(dir, d))
		t.Setenv("PWD", "") // so that the environment does not tell
		want("an include folder", twice("sub.c", which, "-I."), "#warning "+d)
		source := clang.Source("sub.c", "int "+d+"(void) { return 1; }\n", clang.Options{Flags: []string{"-g"}})
		if _, err := eng.Add(context.Background(), source); err != nil {
			t.Fatal(err)
		}
		ir, err := eng.Function(d).IR()
		if err != nil {
			t.Fatal(err)
		}
		want("the working directory", ir, "directory: \""+filepath.Join(dir, d)+"\"")
	}
	if err := os.WriteFile("which.h", []byte("#warning edited\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want("an edited header", generate("sub.c", which, "-I."), "#warning edited")
	want("a flag", twice("a.c", "#warning A\n", "-DA=1"), "#warning A")
	want("another flag", twice("a.c", "#if A == 2\n#warning two\n#endif\n", "-DA=2"), "#warning two")

	// The name of the source is that of each.
	for _, name := range []string{"x.c", "dir/y.c", filepath.Join(dir, "z.c"), "prompt17", "c", "it's = strange.c"} {
		want(name, twice(name, "#pragma message(__FILE__)\nint x = ;\n"), name+":2:9: error: expected expression")
		want(name, twice(name, "#pragma message(__FILE_NAME__)\nint x;\n"), "warning: "+filepath.Base(name))
	}
	// What the driver warns of is said each time, what is wrong for it stays wrong.
	want("an unused argument", twice("a.c", "int x;\n", "-lm", "-Wl,-x"), "linker' input unused")
	want("a wrong flag", twice("a.c", "int x;\n", "-fno-such-flag"), "unknown argument")
	if err := os.WriteFile("flags", []byte("-DTEXT=1"), 0o644); err != nil {
		t.Fatal(err)
	}
	want("a file of flags", twice("a.c", "#if TEXT == 1\n#warning one\n#endif\n", "--config=./flags"), "#warning one")
	if err := os.WriteFile("flags", []byte("-DTEXT=2"), 0o644); err != nil {
		t.Fatal(err)
	}
	want("an edited file of flags", twice("a.c", "#if TEXT == 2\n#warning two\n#endif\n", "--config=./flags"), "#warning two")
}

// TestDriverFromManyThreads: more command lines than are kept, at the same time.
func TestDriverFromManyThreads(t *testing.T) {
	var wait sync.WaitGroup
	for thread := range 4 {
		wait.Go(func() {
			for n := range 50 {
				number := (n*7 + thread) % 80
				want := fmt.Sprintf("n.c:1:2: warning: %d", number)
				if said := generate("n.c", fmt.Sprintf("#if N == %d\n#warning %d\n#endif\n", number, number), fmt.Sprintf("-DN=%d", number)); !strings.Contains(said, fmt.Sprintf("#warning %d", number)) {
					t.Errorf("%q, want %q", said, want)
				}
			}
		})
	}
	wait.Wait()
}
