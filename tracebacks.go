package livejit

import (
	"fmt"
	"sync"
	"sync/atomic"

	"livejit/internal/guard"
	"livejit/internal/jitdebug"
	"livejit/internal/unwind"
)

// tracebacksOn says that EnableTracebacks was called.
var tracebacksOn atomic.Bool

// openEngines are the engines of the process. Its lock is taken before those of engines.
var openEngines struct {
	sync.Mutex
	set map[*Engine]bool
}

// EnableTracebacks makes native frames visible to Go's own tools, for the whole process and for good
// (runtime.SetCgoTraceback, which a program must not call itself then): CPU profiles of
// runtime/pprof, as `go tool pprof -top` shows them, and Go's tracebacks at a crash name functions of all engines by
// name and version, "fib@3". Frames are found by frame pointers, so that foreign frames without them, such as those of
// a C library's qsort, hide who called them, but for the first.
//
// While a CPU profile is taken, and until two seconds after its last sample was looked up, old versions
// are not freed, since the profile holds addresses and not names; Quiesce waits. Closing an engine takes its names away.
// A Go function that native code has called (Define) shows the native frames between it and its Go callers, also in runtime.Callers and so in
// logs and heap profiles, which may look names up long after: then a version that was freed has none, or that of what lies there now. Go functions that a program exports by cgo itself
// show their Go callers only. Each function costs 128 bytes, each call of a Go function by native code some ten nanoseconds more.
func EnableTracebacks() error {
	tracebacksOn.Store(true)
	jitdebug.EnableTracebacks(unwind.Lookup(), guard.ContextFunction(), guard.EnterReturn())
	openEngines.Lock()
	defer openEngines.Unlock()
	for e := range openEngines.set {
		if err := e.nameAll(); err != nil {
			return err
		}
	}
	return nil
}

// opened enters a new engine.
func (e *Engine) opened() error {
	openEngines.Lock()
	defer openEngines.Unlock()
	if openEngines.set == nil {
		openEngines.set = make(map[*Engine]bool)
	}
	openEngines.set[e] = true
	if tracebacksOn.Load() {
		return e.nameAll()
	}
	return nil
}

// nameAll gives the symbolizer the names of all code of the engine.
func (e *Engine) nameAll() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.names != nil {
		return nil
	}
	lo, hi := e.memory.Range()
	names, err := jitdebug.NewNames(lo, hi)
	if err != nil {
		return fmt.Errorf("livejit: %w", err)
	}
	e.names = names
	for _, p := range e.pieces {
		if p != nil {
			e.nameCode(p)
		}
	}
	return nil
}

// nameCode gives the symbolizer the name of one piece.
func (e *Engine) nameCode(p *piece) {
	if len(p.starts) > 0 && !e.names.Set(p.ID, p.versionName()) {
		e.failed = fmt.Errorf("livejit: no memory for the name of %s", p.versionName())
	}
}

// profiled says that addresses of code must not be used again at present.
func (e *Engine) profiled() bool { return e.names != nil && jitdebug.Profiling() }
