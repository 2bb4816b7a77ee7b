package livejit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"livejit"
)

// TestArchiveGoesWithItsModule: an archive is searched as long as the module it came with
// is open.
func TestArchiveGoesWithItsModule(t *testing.T) {
	dir := t.TempDir()
	source, lib := filepath.Join(dir, "seven.c"), filepath.Join(dir, "lib.a")
	if err := os.WriteFile(source, []byte("long seven(void) { return 7; }\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"clang-22", "-c", "-fPIC", source, "-o", source + ".o"}, {"ar", "rc", lib, source + ".o"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	e := newEngine(t)
	holder, err := e.Add(background, livejit.File(lib))
	if err != nil {
		t.Fatal(err)
	}
	user := livejit.IR("user", "declare i64 @seven()\ndefine i64 @use() { %r = call i64 @seven()  ret i64 %r }")
	m, err := e.Add(background, user)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Call(background, "use"); r != int64(7) || err != nil {
		t.Errorf("use = %v, %v", r, err)
	}
	if err := errors.Join(m.Close(), holder.Close()); err != nil {
		t.Fatal(err)
	}
	var undefined *livejit.UndefinedError
	if _, err := e.Add(background, user); !errors.As(err, &undefined) {
		t.Errorf("after the archive's module was closed: %v, want an UndefinedError", err)
	}
}
