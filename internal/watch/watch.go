// Package watch keeps a program up to date with its files while it runs: a changed source,
// or a header that it includes, is compiled again, and one transaction puts what differs into
// the running engine. What became of each function is said in one line.
//
// A Watcher has one goroutine, Run's, which does everything but the keys: it needs no lock.
// Folders are watched, not files, so that editors that save by renaming, and files that are
// deleted and put back, are seen. Events only say that something happened; what changed is
// told from the files themselves.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"livejit"
	"livejit/clang"
)

// Config says what to watch.
type Config struct {
	Engine  *livejit.Engine
	Files   []string      // the program: C, C++, IR, bitcode, objects, archives
	Clang   clang.Options // for C and C++; Warnings and Depends are the watcher's
	Entry   string        // the function that runs, for what is said about it
	Build   string        // command line for sh that makes Files; "" if there is none
	Out     io.Writer     // verdicts and diagnostics
	Refused func()        // called after a transaction was refused; may be nil
	Applied func()        // called after a transaction has changed something; may be nil
}

// A burst of events is over when none came for settle, or after patience: an editor that
// saves writes several times, a build for long.
const (
	settle   = 15 * time.Millisecond
	patience = 300 * time.Millisecond
)

// Watcher is a program under watch. Close ends it.
type Watcher struct {
	config  Config
	events  *fsnotify.Watcher
	units   []*unit
	folders map[string]bool
	loaded  bool
}

// New begins to watch the files. Nothing is loaded yet.
func New(c Config) (*Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &Watcher{config: c, events: events, folders: make(map[string]bool)}
	for _, f := range c.Files {
		u := &unit{path: f, stamps: make(map[string]stamp), dirty: true}
		w.units = append(w.units, u)
		if err := w.follow(f); err != nil {
			return nil, errors.Join(err, events.Close())
		}
	}
	if c.Build != "" {
		if err := w.followTree("."); err != nil {
			return nil, errors.Join(err, events.Close())
		}
	}
	return w, nil
}

// Close ends watching. Run returns.
func (w *Watcher) Close() error { return w.events.Close() }

// Load builds and loads the program, waiting for corrections as long as it cannot be
// loaded. It returns the context's error, or nil.
func (w *Watcher) Load(ctx context.Context) error {
	if w.config.Build != "" {
		w.build(ctx)
	}
	for {
		w.refresh(ctx)
		if w.loaded || ctx.Err() != nil {
			return ctx.Err()
		}
		w.say("waiting for a change: the program is not loaded yet")
		if !w.wait(ctx) {
			return ctx.Err()
		}
	}
}

// Run follows changes until the context ends or Close is called.
func (w *Watcher) Run(ctx context.Context) {
	for w.wait(ctx) {
		w.refresh(ctx)
	}
}

// wait returns true after something happened that may concern the program, and the folders
// are quiet again.
func (w *Watcher) wait(ctx context.Context) bool {
	var quiet, late <-chan time.Time
	rebuild := false
	for {
		select {
		case <-ctx.Done():
			return false
		case event, ok := <-w.events.Events:
			if !ok {
				return false
			}
			source := w.config.Build != "" && w.isBuildInput(event)
			if !source && !w.concerns(event) {
				continue
			}
			rebuild = rebuild || source
			quiet = time.After(settle)
			if late == nil {
				late = time.After(patience)
			}
			continue
		case err, ok := <-w.events.Errors:
			if !ok {
				return false
			}
			// Events were lost: the files themselves tell.
			w.say("watching: %v; looking at every file", err)
			rebuild = w.config.Build != ""
		case <-quiet:
		case <-late:
		}
		if rebuild {
			w.build(ctx)
		}
		return true
	}
}

// concerns says whether an event is about a file that a unit was made of, or one that
// appeared and that a unit which failed may have missed.
func (w *Watcher) concerns(event fsnotify.Event) bool {
	path := absolute(event.Name)
	return slices.ContainsFunc(w.units, func(u *unit) bool {
		_, known := u.stamps[path]
		return known || u.failed && event.Has(fsnotify.Create) || absolute(u.path) == path
	})
}

// refresh makes what changed again and applies it.
func (w *Watcher) refresh(ctx context.Context) {
	news := !w.loaded
	for _, u := range w.units {
		if u.changed() {
			u.dirty, news = true, true
		}
	}
	if !news {
		return
	}
	var changed []*unit
	complete := true
	start := time.Now()
	for _, u := range w.units {
		if !u.dirty {
			continue
		}
		if ok := w.translate(ctx, u); !ok {
			complete = false
			continue
		}
		changed = append(changed, u)
	}
	if !complete || len(changed) == 0 {
		return // what was translated stays dirty, and goes with the rest when that is right
	}
	front := time.Since(start)
	var err error
	var result *livejit.Result
	if w.loaded {
		result, err = w.replace(ctx, changed)
	} else {
		err = w.add(ctx)
	}
	w.report(changed, result, err, front)
	if err == nil {
		w.loaded = true
		for _, u := range changed {
			u.dirty = false // what was refused goes with the next change, which may make it right
		}
	}
	changes := func(v livejit.Verdict) bool { return v.Outcome != livejit.Unchanged }
	if w.config.Applied != nil && err == nil && result != nil && slices.ContainsFunc(result.Verdicts, changes) {
		w.config.Applied()
	}
	var refused *livejit.RefusedError
	var inUse *livejit.InUseError
	if w.config.Refused != nil && (errors.As(err, &refused) || errors.As(err, &inUse)) {
		w.config.Refused()
	}
}

// add loads all units, each as a module of its own, in one transaction.
func (w *Watcher) add(ctx context.Context) error {
	result, err := w.config.Engine.Update(ctx, func(u *livejit.Update) error {
		for _, unit := range w.units {
			u.Add(unit.source)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, m := range result.Modules {
		w.units[i].module = m
	}
	return nil
}

// replace puts new versions of units in the place of the old ones.
func (w *Watcher) replace(ctx context.Context, units []*unit) (*livejit.Result, error) {
	return w.config.Engine.Update(ctx, func(u *livejit.Update) error {
		for _, unit := range units {
			u.ReplaceModule(unit.module, unit.source)
		}
		return nil
	})
}

// follow watches the folder that a file is in.
func (w *Watcher) follow(path string) error {
	folder := filepath.Dir(absolute(path))
	if w.folders[folder] {
		return nil
	}
	if err := w.events.Add(folder); err != nil {
		return fmt.Errorf("watch %s: %w", folder, err)
	}
	w.folders[folder] = true
	return nil
}

func (w *Watcher) say(format string, args ...any) {
	fmt.Fprintf(w.config.Out, "%s\n", strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return filepath.Clean(path)
}
