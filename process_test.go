package livejit_test

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"livejit/internal/llvm"
)

// mappings returns how many mappings the process has.
func mappings(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// openFiles returns how many file descriptors the process has.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// resident returns the bytes of memory the process occupies after Go's free memory was
// given back, without the pages of files, of which other processes may have a part. A page
// that is mapped twice, as code in its two views is, counts once: it is the kernel's Pss.
func resident(t testing.TB) int64 {
	t.Helper()
	debug.FreeOSMemory()
	llvm.Trim() // what malloc holds free is given back, lest its filling again counts as growth
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	sum, found := int64(0), 0
	for line := range strings.Lines(string(text)) {
		field := strings.Fields(line)
		if field[0] != "Pss_Anon:" && field[0] != "Pss_Shmem:" {
			continue
		}
		kib, err := strconv.ParseInt(field[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += kib << 10
		found++
	}
	if found != 2 {
		t.Skip("the kernel does not tell what memory is of what kind")
	}
	return sum
}
