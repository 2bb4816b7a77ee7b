package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"livejit"
)

// TestPlugins loads, calls, replaces, breaks and unloads plugins.
func TestPlugins(t *testing.T) {
	ctx := context.Background()
	h, err := newHost()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, f := range []string{"plugins/upper.c", "plugins/reverse.cpp"} {
		if err := h.load(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	calls := func(name, want string) {
		t.Helper()
		if got, err := h.call(name, "text"); got != want || err != nil {
			t.Errorf("%s makes %q, %v; want %q", name, got, err, want)
		}
	}
	calls("upper", "TEXT")
	calls("reverse", "txet")

	path := filepath.Join(t.TempDir(), "upper.c")
	loads := func(text string) error {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return h.load(ctx, path)
	}
	if err := loads("int host_version(void); void upper(char *text) { text[0] = '0' + host_version(); }\n"); err != nil {
		t.Fatal(err)
	}
	calls("upper", "1ext")
	var compile *livejit.CompileError
	if err := loads("void upper(char *text) { nonsense }\n"); !errors.As(err, &compile) {
		t.Errorf("a plugin with a mistake: %v", err)
	}
	calls("upper", "1ext")
	if err := loads("void upper(char *text) { *(volatile char *)8 = *text; }\n"); err != nil {
		t.Fatal(err)
	}
	var fault *livejit.FaultError
	if _, err := h.call("upper", "text"); !errors.As(err, &fault) || fault.Address != 8 {
		t.Errorf("a plugin that crashes: %v", err)
	}
	calls("reverse", "txet")
	if err := h.unload("upper"); err != nil {
		t.Error(err)
	}
	if _, err := h.call("upper", "text"); err == nil {
		t.Error("a plugin that was unloaded was called")
	}
	if err := h.load(ctx, "plugins/upper.c"); err != nil {
		t.Error(err)
	}
	calls("upper", "TEXT")
	if err := run("plugins", "text"); err != nil {
		t.Error(err)
	}
}
