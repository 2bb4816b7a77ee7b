package jitdebug

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Registrar keeps debuggers informed of the objects of one engine. It gathers changes: a debugger that is attached hears of all
// of them together in [Registrar.Sync]. Otherwise symbol files are made a while later, on
// the registrar's own goroutine: who attaches then finds what there was up to that time, and
// the rest when the process goes on.
//
// A debugger takes time for each symbol file that there is, whenever one comes or goes, so there must
// be few: fanOut files of one level are made into one of the next, as in a log-structured
// merge tree. Each object is told of a logarithmic number of times.
//
// It is safe for concurrent use; its lock is taken before the one of the process's list, and
// no other.
type Registrar struct {
	mu      sync.Mutex
	files   []*file
	pending []*view
	views   map[*Object]*view
	in      map[*view]*file
	timer   *time.Timer // nil: nothing is to be done
	took    time.Duration
	closed  bool
}

// file is one symbol file: what it is to show, and what debuggers know.
type file struct {
	views []*view
	level int
	known symbolFile // entry nil: nothing yet
	dirty bool
}

const (
	fanOut = 8
	delay  = 100 * time.Millisecond // before changes are told when no debugger is attached
	pause  = 50                     // the least delay, in times of what telling took before
)

// files counts the symbol files of the process.
var files atomic.Int64

// LiveFiles returns how many symbol files the process has registered.
func LiveFiles() int { return int(files.Load()) }

// NewRegistrar returns a registrar without objects.
func NewRegistrar() *Registrar {
	return &Registrar{views: make(map[*Object]*view), in: make(map[*view]*file)}
}

// Add tells of objects whose code has come, with the number of pieces of each.
func (r *Registrar) Add(objects []*Object, pieces []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, o := range objects {
		if pieces[i] == 0 || len(o.Functions) == 0 {
			continue
		}
		v := &view{Object: o, left: pieces[i]}
		r.views[o] = v
		r.pending = append(r.pending, v)
	}
	r.changed()
}

// Rename shows the functions of a piece, now an old version, under another name; names are pairs of the
// name in the source and the one to show.
func (r *Registrar) Rename(o *Object, piece int, name, shown string) {
	r.change(o, func(v *view) {
		if v.renamed == nil {
			v.renamed = make(map[int32][2]string)
		}
		v.renamed[int32(piece)] = [2]string{name, shown}
	})
}

// Drop takes a piece away, whose code is being freed.
func (r *Registrar) Drop(o *Object, piece int) {
	r.change(o, func(v *view) {
		if v.dropped == nil {
			v.dropped = make(map[int32]bool)
		}
		v.dropped[int32(piece)] = true
		v.left--
	})
}

func (r *Registrar) change(o *Object, f func(*view)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.views[o]
	if v == nil {
		return
	}
	f(v)
	if v.left == 0 {
		delete(r.views, o)
	}
	if in := r.in[v]; in != nil {
		in.dirty = true
	}
	r.changed()
}

// Sync tells a debugger that is attached of all changes now. Code that was dropped must keep its memory until then: the debugger takes its
// breakpoints out.
func (r *Registrar) Sync() {
	if !Attached() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.tell()
	}
}

// Close takes everything back.
func (r *Registrar) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, f := range r.files {
		f.forget()
	}
	r.files, r.pending, r.views, r.in = nil, nil, nil, nil
}

// changed sees to it that changes are told. The lock is held.
func (r *Registrar) changed() {
	if !r.closed && r.timer == nil {
		r.timer = time.AfterFunc(max(delay, pause*r.took), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.timer = nil
			if !r.closed {
				r.tell()
			}
		})
	}
}

// tell brings the symbol files up to date.
func (r *Registrar) tell() {
	start := time.Now()
	if len(r.pending) > 0 {
		f := &file{views: r.pending, dirty: true}
		r.pending = nil
		for _, v := range f.views {
			r.in[v] = f
		}
		r.files = append(r.files, f)
		r.merge()
	}
	for _, f := range r.files {
		if f.dirty {
			r.update(f)
		}
	}
	r.files = slices.DeleteFunc(r.files, func(f *file) bool { return len(f.views) == 0 })
	r.took = time.Since(start)
}

// merge makes one file of fanOut files of one level.
func (r *Registrar) merge() {
	for level := 0; ; level++ {
		var same []*file
		for _, f := range r.files {
			if f.level == level {
				same = append(same, f)
			}
		}
		if len(same) < fanOut {
			return
		}
		into := &file{level: level + 1, dirty: true}
		for _, f := range same {
			f.forget()
			for _, v := range f.views {
				r.in[v] = into
			}
			into.views = append(into.views, f.views...)
			f.views = nil
		}
		r.files = append(slices.DeleteFunc(r.files, func(f *file) bool { return f.views == nil }), into)
	}
}

// update registers what a file shows in place of what debuggers know.
func (r *Registrar) update(f *file) {
	f.dirty = false
	f.forget()
	f.views = slices.DeleteFunc(f.views, func(v *view) bool {
		if v.left == 0 {
			delete(r.in, v)
		}
		return v.left == 0
	})
	if len(f.views) > 0 {
		f.known = register(image(f.views))
	}
}

// forget takes back what debuggers know of a file.
func (f *file) forget() {
	if f.known.entry != nil {
		f.known.unregister()
		f.known.entry = nil
	}
}
