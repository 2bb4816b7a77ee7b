package livejit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"livejit"
	"livejit/clang"
	"livejit/internal/jitdebug"
)

// gdbProgramVariable in the environment makes the test binary the program that gdb debugs, "source", "IR" or "many".
const gdbProgramVariable = "LIVEJIT_TEST_GDB_PROGRAM"

const gdbSource = `
#include <stdlib.h>
int depth;
void next(void);
void stop(int n) { depth = n; }
void gone(int n) { depth = n; }
static int compare(const void *a, const void *b) {
	int walk(int);
	int left = *(const int *)a;
	if (depth > 0) { next(); walk(depth - 1); }
	return left - *(const int *)b;
}
int walk(int n) {
	int v[2] = {n + 20, 10 * VERSION};
	depth = n;
	if (n == 0) stop(n);
	qsort(v, 2, sizeof *v, compare);
	depth = 0;
	return v[0];
}
`

// gdbProgram replaces a function twice while it is active, each time from a callback of C's
// qsort, then deletes another one.
func gdbProgram() int {
	fail := func(err error) int { fmt.Println("failed:", err); return 1 }
	debug := livejit.WithDebug()
	if os.Getenv(gdbProgramVariable) == "IR" {
		debug = livejit.WithIRDebug()
	}
	if os.Getenv(gdbProgramVariable) == "many" {
		return manyProgram()
	}
	eng, err := livejit.New(debug)
	if err != nil {
		return fail(err)
	}
	source := func(version int) livejit.Source {
		return clang.Source("walk.c", gdbSource, clang.Options{Flags: []string{"-g", fmt.Sprintf("-DVERSION=%d", version)}})
	}
	version := 1
	if err := eng.Define("next", func() {
		version++
		if _, err := eng.Replace(background, source(version)); err != nil {
			panic(err)
		}
	}); err != nil {
		return fail(err)
	}
	if _, err := eng.Add(background, source(1)); err != nil {
		return fail(err)
	}
	if _, err := eng.Call(background, "walk", 2); err != nil {
		return fail(err)
	}
	if err := eng.Delete(background, "gone"); err != nil {
		return fail(err)
	}
	if _, err := eng.Call(background, "stop", 77); err != nil {
		return fail(err)
	}
	if err := eng.Close(); err != nil {
		return fail(err)
	}
	fmt.Println("symbol files left:", jitdebug.LiveFiles())
	return 0
}

// toldFunctions are what gdb is told of in few steps.
const toldFunctions = 400

// manyProgram loads many functions, replaces all, closes their module, and closes an engine with as many.
func manyProgram() int {
	fail := func(err error) int { fmt.Println("failed:", err); return 1 }
	eng, err := livejit.New(livejit.WithDebug())
	if err != nil {
		return fail(err)
	}
	text := func(add int) string {
		var b strings.Builder
		for i := range toldFunctions {
			fmt.Fprintf(&b, "define i64 @f%d(i64 %%x) { %%r = add i64 %%x, %d  ret i64 %%r }\n", i, add)
		}
		return b.String()
	}
	m, err := eng.Add(background, livejit.IR("many.ll", text(1)))
	if err != nil {
		return fail(err)
	}
	if _, err := eng.Replace(background, livejit.IR("many.ll", text(2))); err != nil {
		return fail(err)
	}
	if err := m.Close(); err != nil {
		return fail(err)
	}
	if err := eng.Quiesce(background); err != nil {
		return fail(err)
	}
	if _, err := eng.Add(background, livejit.IR("again.ll", text(3))); err != nil {
		return fail(err)
	}
	if err := eng.Close(); err != nil {
		return fail(err)
	}
	fmt.Println("symbol files left:", jitdebug.LiveFiles())
	return 0
}

// runGDB runs this test binary as a program under gdb, with a script, and returns what gdb says. level is what it shows, "source"
// or "IR", or else "many".
func runGDB(t *testing.T, level, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	script = "set confirm off\nset breakpoint pending on\nset debuginfod enabled off\nhandle SIGURG SIG61 SIG62 SIG63 nostop noprint pass\n" + script
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gdb", "-nx", "-batch", "-x", file, binary)
	cmd.Env = append(os.Environ(), gdbProgramVariable+"="+level)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("gdb: %v\n%s", err, out)
	}
	return string(out)
}

// wantInOrder wants each pattern to match, after where the one before did.
func wantInOrder(t *testing.T, text string, patterns ...string) {
	t.Helper()
	rest := text
	for _, p := range patterns {
		at := regexp.MustCompile("(?m)" + p).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("no match for %q; all:\n%s", p, text)
		}
		rest = rest[at[1]:]
	}
}

// gdb sees JIT functions by name and line, arguments and locals, a backtrace through three
// versions of a function and the C library, and no more of what was deleted.
func TestGDB(t *testing.T) {
	out := runGDB(t, "source", `
break stop
run
echo [backtrace]\n
bt
frame function walk
info args
info locals
echo [gone]\n
info functions ^gone$
delete
break walk.c:5
continue
echo [deleted]\n
print n
info functions ^gone$
break gone
delete
continue
`)
	wantInOrder(t, out,
		`^Breakpoint 1 \(stop\) pending`,
		`Breakpoint 1, stop \(n=0\) at walk\.c:5`,
		`\[backtrace\]`,
		`^#0 .*stop \(n=0\) at walk\.c:5`,
		`^#1 .* in walk \(n=0\) at walk\.c:16`,
		`^#2 .* in compare.* at walk\.c:10`,
		`^#\d+ .*qsort`,
		`^#\d+ .* in walk@2 \(n=1\) at walk\.c:17`,
		`^#\d+ .* in compare.* at walk\.c:10`,
		`^#\d+ .*qsort`,
		`^#\d+ .* in walk@1 \(n=2\) at walk\.c:17`,
		`^n = 0$`,
		`^v = \{20, 30\}$`,
		`\[gone\]`,
		`^6:\s+void gone\(int\);`,
		`Breakpoint 2, stop \(n=77\) at walk\.c:5`,
		`\[deleted\]`,
		`= 77$`,
		`All functions matching`,
		`Function "gone" not defined`,
		`symbol files left: 0`)
	if _, after, _ := strings.Cut(out, "[deleted]"); strings.Contains(after, "void gone") {
		t.Errorf("gdb still sees what was deleted:\n%s", out)
	}
}

// At the level of IR gdb shows the text of each version.
func TestGDBOfIR(t *testing.T) {
	out := runGDB(t, "IR", `
break stop
run
bt
frame function walk
list
frame function walk@1
list
info functions ^walk
`)
	wantInOrder(t, out,
		`Breakpoint 1, stop \(.*\) at walk\.c\.1\.ll:\d+`,
		`^#1 .* in walk \(.*\) at walk\.3\.ll:\d+`,
		`^#2 .* in compare.* at walk\.c\.1\.ll:\d+`,
		`^#\d+ .*qsort`,
		`^#\d+ .* in walk@2 \(.*\) at walk\.2\.ll:\d+`,
		`^#\d+ .*qsort`,
		`^#\d+ .* in walk@1 \(.*\) at walk\.c\.1\.ll:\d+`,
		`^\d+\s+call void @stop\(i32 noundef %\w+\)`,
		`^\d+\s+call void @qsort\(`,
		`walk@1\(i32\);`)
}

// A transaction, a module's end and the engine's are each told in few steps, however many functions they are about: gdb stops the process for each
// and reads all of a symbol file again. One step for each function takes gdb minutes to close an engine with 10,000 of them.
func TestGDBIsToldInFewSteps(t *testing.T) {
	out := runGDB(t, "many", `
break __jit_debug_register_code
ignore 1 1000000
run
info breakpoints
`)
	wantInOrder(t, out, `symbol files left: 0`, `already hit \d+ times`)
	hits, err := strconv.Atoi(regexp.MustCompile(`already hit (\d+) times`).FindStringSubmatch(out)[1])
	if err != nil || hits < 4 || hits > toldFunctions/4 {
		t.Errorf("gdb was told %d times about %d functions: %v", hits, toldFunctions, err)
	}
}

// Without a debugger symbol files are there a moment after loading, for one that attaches later, and few
// however many modules were added.
func TestSymbolFilesWithoutDebugger(t *testing.T) {
	before := jitdebug.LiveFiles()
	e := newEngine(t, livejit.WithDebug())
	for i := range 40 {
		add(t, e, fmt.Sprintf("m%d.ll", i), fmt.Sprintf("define i64 @f%d() { ret i64 %d }", i, i))
	}
	deadline := time.Now().Add(time.Minute)
	for jitdebug.LiveFiles() == before {
		if time.Now().After(deadline) {
			t.Fatal("no symbol file")
		}
		time.Sleep(time.Millisecond)
	}
	if n := jitdebug.LiveFiles() - before; n > 16 {
		t.Errorf("%d symbol files", n)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := jitdebug.LiveFiles(); n != before {
		t.Errorf("%d symbol files are left", n-before)
	}
}
