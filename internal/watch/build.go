package watch

import (
	"context"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// products are the endings of what builds make, and folders where they put it: a change of
// these does not start a build.
var (
	products = []string{".o", ".a", ".so", ".d", ".bc", ".lo", ".la", ".rlib", ".rmeta", ".tmp"}
	outputs  = []string{"target", "build", "node_modules"}
)

// followTree watches a folder and those in it, but hidden ones and those of outputs.
func (w *Watcher) followTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went away meanwhile, or may not be read
		}
		if !d.IsDir() {
			return nil
		}
		if path != root && ignored(d.Name()) {
			return filepath.SkipDir
		}
		return w.follow(filepath.Join(path, "any"))
	})
}

func ignored(folder string) bool {
	return strings.HasPrefix(folder, ".") || slices.Contains(outputs, folder)
}

// isBuildInput says whether a build has to follow an event: it is about a file that is
// neither hidden, an editor's copy, one of the program's own files nor a product by its name.
func (w *Watcher) isBuildInput(event fsnotify.Event) bool {
	path := absolute(event.Name)
	name := filepath.Base(path)
	if event.Op == fsnotify.Chmod || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || slices.Contains(products, filepath.Ext(name)) {
		return false
	}
	inside, err := filepath.Rel(absolute("."), path)
	if err != nil || strings.HasPrefix(inside, "..") {
		return false
	}
	if slices.ContainsFunc(strings.Split(filepath.Dir(inside), string(filepath.Separator)), func(part string) bool { return part != "." && ignored(part) }) {
		return false
	}
	if event.Has(fsnotify.Create) && w.isFolder(path) {
		return false
	}
	return !slices.ContainsFunc(w.units, func(u *unit) bool { return absolute(u.path) == path })
}

// isFolder says whether path is one, and watches it.
func (w *Watcher) isFolder(path string) bool {
	if stampOf(path) != (stamp{}) || modified(path).IsZero() {
		return false
	}
	if err := w.followTree(path); err != nil {
		w.say("%v", err)
	}
	return true
}

// build runs the build command. What it prints is shown when it fails.
func (w *Watcher) build(ctx context.Context) {
	start := time.Now()
	cmd := exec.CommandContext(ctx, "sh", "-c", w.config.Build)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.say("%s", out)
		w.say("not applied: %s: %v; %s", w.config.Build, err, w.goesOn())
		return
	}
	w.say("built (%s)", short(time.Since(start)))
}
