// Package csources finds the C sources that the tests, the demo and the benchmarks load:
// they come with Go modules, pinned with checksums in testdata/sources.
package csources

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SQLite is the module with SQLite's amalgamation, sqlite3-binding.c and .h.
const SQLite = "github.com/mattn/go-sqlite3"

// Root returns the folder of this repository, of which the current folder is a part.
func Root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "livejit").Output()
	if err != nil {
		return "", fmt.Errorf("find the livejit module: %w", detailed(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// Dir returns the folder of a pinned Go module, downloading it if needed.
func Dir(module string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(root, "testdata", "sources")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if decodeErr := json.NewDecoder(bytes.NewReader(out)).Decode(&answer); decodeErr == nil && answer.Error != "" {
		return "", fmt.Errorf("download %s: %s", module, answer.Error)
	}
	if err != nil {
		return "", fmt.Errorf("download %s: %w", module, detailed(err))
	}
	return answer.Dir, nil
}

// detailed adds what a command printed to its error.
func detailed(err error) error {
	if exit, ok := err.(*exec.ExitError); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
