package livejit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livejit"
	"livejit/internal/jitdebug"
)

// profileVariable in the environment makes the test binary the program that is profiled ("profile") or
// brought down by SIGQUIT ("crash"): tracebacks are for the whole process and for good.
const profileVariable = "LIVEJIT_TEST_PROFILE_PROGRAM"

const spinIR = `
define i64 @spin(i64 %%n) {
entry: br label %%loop
loop:
  %%i = phi i64 [ %%n, %%entry ], [ %%j, %%loop ]
  %%x = phi i64 [ %d, %%entry ], [ %%y, %%loop ]
  %%y = mul i64 %%x, 7
  %%j = sub i64 %%i, 1
  %%z = icmp eq i64 %%j, 0
  br i1 %%z, label %%done, label %%loop
done: ret i64 %%y
}
define i64 @outer(i64 %%n) {
  %%r = call i64 @spin(i64 %%n)
  %%s = add i64 %%r, 1
  ret i64 %%s
}`

// profileProgram burns time in a native function that it replaces meanwhile.
func profileProgram(what string) int {
	fail := func(err error) int { fmt.Println("failed:", err); return 1 }
	eng, err := livejit.New()
	if err != nil {
		return fail(err)
	}
	if _, err := eng.Add(background, livejit.IR("spin.ll", fmt.Sprintf(spinIR, 1))); err != nil {
		return fail(err)
	}
	if err := livejit.EnableTracebacks(); err != nil { // names what is loaded already
		return fail(err)
	}
	var outer func(int64) (int64, error)
	if err := eng.Bind("outer", &outer); err != nil {
		return fail(err)
	}
	if what == "crash" {
		runtime.LockOSThread() // Go shows the native frames of the thread that the signal comes to
		thread := unix.Gettid()
		time.AfterFunc(300*time.Millisecond, func() { unix.Tgkill(os.Getpid(), thread, unix.SIGQUIT) })
		_, err := outer(1 << 60)
		return fail(err)
	}
	f, err := os.Create(what)
	if err != nil {
		return fail(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return fail(err)
	}
	for version := 1; version <= 3; version++ {
		if version > 1 {
			if _, err := eng.Replace(background, livejit.IR("spin.ll", fmt.Sprintf(spinIR, version))); err != nil {
				return fail(err)
			}
		}
		for start := time.Now(); time.Since(start) < 400*time.Millisecond; {
			if _, err := outer(10_000_000); err != nil {
				return fail(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(background, 10*time.Millisecond)
	defer cancel()
	var busy *livejit.QuiescenceError
	if err := eng.Quiesce(ctx); !errors.As(err, &busy) || eng.Stats().Retired != 2 {
		return fail(fmt.Errorf("old versions are freed while a profile runs: %v, %d", err, eng.Stats().Retired))
	}
	pprof.StopCPUProfile()
	if err := f.Close(); err != nil {
		return fail(err)
	}
	if err := eng.Quiesce(background); err != nil { // some seconds later they go
		return fail(err)
	}
	if jitdebug.Profiling() || eng.Stats().Retired != 0 {
		return fail(errors.New("old versions stay after the profile"))
	}
	if err := eng.Close(); err != nil {
		return fail(err)
	}
	return 0
}

func profileCommand(t *testing.T, what string) *exec.Cmd {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), profileVariable+"="+what)
	return cmd
}

// A real CPU profile: go tool pprof finds the versions that burned the time, and who called them.
func TestProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpu.out")
	if out, err := profileCommand(t, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	top, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput()
	if err != nil {
		t.Fatalf("pprof: %v\n%s", err, top)
	}
	for _, want := range []string{`\d\d\.\d+%.* spin@1$`, `\d\d\.\d+%.* spin@2$`, `\d\d\.\d+%.* spin@3$`, ` 0 .* outer@1$`} {
		if !regexp.MustCompile("(?m)" + want).Match(top) {
			t.Errorf("no match for %q in\n%s", want, top)
		}
	}
}

// Go's traceback when the process is brought down shows the native frames under the Go ones.
func TestCrashTraceback(t *testing.T) {
	cmd := profileCommand(t, "crash")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err == nil {
		t.Fatalf("the process lives:\n%s", out.Bytes())
	}
	wantInOrder(t, out.String(), `SIGQUIT`, `^spin@1`, `^outer@1`, `livejit_test\.profileProgram`)
}
