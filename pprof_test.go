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

// profileVariable in the environment makes the test binary the program that is brought down by SIGQUIT ("crash"), that looks at
// its callers ("callers"), or that is profiled (else, into a file of that name): tracebacks are for the whole process and for good.
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
	if what == "callers" {
		return callersProgram(eng)
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
	if r := eng.Function("spin").WhyAlive(); len(r) != 2 || r[0].Kind != livejit.RootProfile || r[1].Version != 2 || busy.Function != "spin@1" {
		return fail(fmt.Errorf("why old versions stay: %v, %v", r, busy))
	}
	if err := callBack(eng, "burn", func() {
		for start := time.Now(); time.Since(start) < 400*time.Millisecond; {
			burn()
		}
	}); err != nil {
		return fail(err)
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

//go:noinline
func burn() {
	for i := range uint64(1_000_000) {
		burnt += i * burnt
	}
}

var burnt uint64

const backIR = `
declare void @inner_%[1]s()
declare void @outer_%[1]s()
define void @calls_inner_%[1]s() { call void @inner_%[1]s()  ret void }
define void @calls_outer_%[1]s() { call void @outer_%[1]s()  ret void }
define void @first_%[1]s() { call void @calls_outer_%[1]s()  ret void }`

// callBack calls do from Go from native code from Go from native code.
//
//go:noinline
func callBack(eng *livejit.Engine, name string, do func()) error {
	if err := eng.Define("inner_"+name, do); err != nil {
		return err
	}
	if err := eng.Define("outer_"+name, func() { enterAgain(eng, name) }); err != nil {
		return err
	}
	if _, err := eng.Add(background, livejit.IR(name+".ll", fmt.Sprintf(backIR, name))); err != nil {
		return err
	}
	_, err := eng.Call(background, "first_"+name)
	return err
}

//go:noinline
func enterAgain(eng *livejit.Engine, name string) {
	if _, err := eng.Call(background, "calls_inner_"+name); err != nil {
		panic(err)
	}
}

// callersProgram prints the functions that runtime.Callers finds in a callback, while other goroutines make callbacks too; and after a
// panic went through, and a goroutine ended, that all contexts are gone.
func callersProgram(eng *livejit.Engine) int {
	fail := func(err error) int { fmt.Println("failed:", err); return 1 }
	stop := make(chan bool)
	defer close(stop)
	if err := eng.Define("idle", func() { runtime.Gosched() }); err != nil {
		return fail(err)
	}
	if _, err := eng.Add(background, livejit.IR("idle.ll", "declare void @idle()\ndefine void @idles() { call void @idle()  ret void }")); err != nil {
		return fail(err)
	}
	for range 3 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := eng.Call(background, "idles"); err != nil {
					panic(err)
				}
			}
		}()
	}
	var panicked *livejit.PanicError
	if err := callBack(eng, "panics", func() { panic("through both") }); !errors.As(err, &panicked) {
		return fail(err)
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		callBack(eng, "exits", runtime.Goexit)
	}()
	<-ended
	if err := callBack(eng, "looks", func() {
		for range 1000 {
			runtime.Callers(0, make([]uintptr, 100))
		}
		pcs := make([]uintptr, 100)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			fmt.Println("frame", f.Function)
		}
	}); err != nil {
		return fail(err)
	}
	return 0
}

// Go code that native code has called sees who called it: through native code into Go and native code again, up to the outermost Go function, each once.
func TestCallersThroughNativeCode(t *testing.T) {
	out, err := profileCommand(t, "callers").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantInOrder(t, string(out), `^frame livejit_test\.callersProgram\.func`, `^frame calls_inner_looks@1$`, `^frame livejit_test\.enterAgain$`,
		`^frame calls_outer_looks@1$`, `^frame first_looks@1$`, `^frame livejit_test\.callBack$`, `^frame livejit_test\.profileProgram$`)
	for _, native := range []string{"calls_inner_looks", "calls_outer_looks", "first_looks", "idles", "panics"} {
		n := bytes.Count(out, []byte("frame "+native))
		if want := bytes.Count([]byte(native), []byte("looks")); n != want {
			t.Errorf("%s is there %d times:\n%s", native, n, out)
		}
	}
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
	traces, err := exec.Command("go", "tool", "pprof", "-traces", "-focus", "livejit_test.burn", file).CombinedOutput()
	if err != nil {
		t.Fatalf("pprof: %v\n%s", err, traces)
	}
	wantInOrder(t, string(traces), `livejit_test\.burn$`, `^ +calls_inner_burn@1$`, `livejit_test\.enterAgain$`, `^ +calls_outer_burn@1$`,
		`^ +first_burn@1$`, `livejit_test\.callBack$`, `livejit_test\.profileProgram$`)
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
