package clang

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// runtimeLibrary is the library of C++, for those that use it.
var runtimeLibrary = []string{"-Wl,--as-needed", "-lstdc++", "-Wl,--no-as-needed"}

// Executable links files ahead of time as the executable out. args are sources, objects and
// flags as the command clang takes them, which runs as a process of its own: linking is the
// system's linker's. The error carries what it printed.
func Executable(ctx context.Context, out string, args ...string) error {
	driver, err := library()
	if err != nil {
		return err
	}
	if _, err := os.Stat(driver); err != nil {
		found := ""
		for _, name := range []string{"clang-22", "clang"} {
			if path, err := exec.LookPath(name); err == nil {
				found = path
				break
			}
		}
		if found == "" {
			return errors.New("linking an executable needs the command clang-22 (Debian's package clang-22)")
		}
		driver = found
	}
	text, err := exec.CommandContext(ctx, driver, slices.Concat([]string{"-Wno-override-module", "-o", out}, args, runtimeLibrary)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("clang: %w\n%s", err, strings.TrimRight(string(text), "\n"))
	}
	return nil
}
