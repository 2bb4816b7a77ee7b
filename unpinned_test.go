package livejit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// TestUnpinnedFails breaks reclaiming on purpose and wants TestLiveHammer to notice: built
// with the tag livejit_unpinned, the engine frees old versions at once, whoever is inside.
// Then a thread goes on in freed code, which is filled with int3 (SIGTRAP) or, by then, another
// function's (a wrong result, SIGSEGV, SIGILL); or its frames have lost their unwind tables, so that an exception ends
// the process (SIGABRT).
func TestUnpinnedFails(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests once more")
	}
	binary := filepath.Join(t.TempDir(), "unpinned.test")
	runTool(t, "go", "test", "-c", "-tags", "livejit_unpinned", "-o", binary, ".")
	hammer := exec.Command(binary, "-test.run", "^TestLiveHammer$", "-test.timeout", "2m")
	hammer.Env = append(os.Environ(), "LIVEJIT_HAMMER=20s", "GOTRACEBACK=none")
	out, err := hammer.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the hammer passed although code was freed under its callers: %v\n%s", err, out)
	}
	seen := regexp.MustCompile(`SIG(TRAP|SEGV|ILL|BUS|ABRT)[^\n]*|terminate called[^\n]*|no version of it returns|is of version|wrong results in native code`).FindString(string(out))
	if status := exit.Sys().(syscall.WaitStatus); seen == "" && status.Signaled() { // on a thread that blocks the signal the kernel ends the process by itself
		seen = status.Signal().String()
	}
	if seen == "" {
		t.Fatalf("the hammer failed, but not for code that was freed too early:\n%s", out)
	}
	t.Logf("it ended with: %s", seen)
}
