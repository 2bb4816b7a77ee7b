package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"livejit"
	"livejit/clang"
)

// unit is one file of the program with everything that it is made of.
type unit struct {
	path   string
	module *livejit.Module
	source livejit.Source   // the last that was right
	stamps map[string]stamp // of what was read when it was last made, by absolute path
	dirty  bool             // it has to be made, or what was made was not applied yet
	failed bool             // it could not be made last time
	said   string           // why, so that it is not said again
	gone   bool             // it was said that the file is not there
}

// stamp tells one content of a file from another. The zero stamp is that of no file.
type stamp struct {
	changed time.Time
	size    int64
	inode   uint64
}

// changed says whether anything that the unit was made of is different now.
func (u *unit) changed() bool {
	if u.failed {
		return true // a header that was missing may be there now
	}
	for path, s := range u.stamps {
		if stampOf(path) != s {
			return true
		}
	}
	return len(u.stamps) == 0
}

// translate makes a unit's source. It says what is wrong and returns false when that fails.
// Stamps are taken before a file is read, where it is known before: what is saved meanwhile
// differs from its stamp then.
func (w *Watcher) translate(ctx context.Context, u *unit) bool {
	before := make(map[string]stamp, len(u.stamps))
	for path := range u.stamps {
		before[path] = stampOf(path)
	}
	before[absolute(u.path)] = stampOf(absolute(u.path))
	if before[absolute(u.path)] == (stamp{}) {
		if !u.gone {
			w.say("waiting: %s is not there; %s", u.path, w.goesOn())
		}
		u.stamps, u.gone = before, true
		return false
	}
	u.gone = false

	start := time.Now()
	files := []string{u.path}
	source := livejit.File(u.path)
	if clang.IsFile(u.path) {
		o := w.config.Clang
		o.Depends = func(read []string) { files = append(files, read...) }
		o.Warnings = func(text string) { w.say("%s", text) }
		source = clang.File(u.path, o)
	}
	made, err := source.Generate(ctx)
	u.stamps = make(map[string]stamp, len(files))
	for _, f := range files {
		path := absolute(f)
		s, known := before[path]
		if !known {
			if s = stampOf(path); s.changed.After(start) {
				s = stamp{} // it may have been read before this change
			}
		}
		u.stamps[path] = s
		if err := w.follow(path); err != nil {
			w.say("%v", err)
		}
	}
	u.failed = err != nil
	if err != nil {
		if why := fmt.Sprintf("%+v", err); why != u.said {
			u.said = why
			w.sayError(err)
			w.say("not applied: %s has errors; %s", u.path, w.goesOn())
		}
		return false
	}
	u.said = ""
	u.source = made
	return true
}

func (w *Watcher) goesOn() string {
	if w.loaded {
		return "the program runs on"
	}
	return "the program is not loaded"
}

// sayError prints an error as the command would: diagnostics with their lines.
func (w *Watcher) sayError(err error) {
	var compile *livejit.CompileError
	if errors.As(err, &compile) {
		w.say("%+v", compile)
		return
	}
	w.say("livejit: error: %+v", err)
}

// modified returns when a file was last written; the zero time if it is not there.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
