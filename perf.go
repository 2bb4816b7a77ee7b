package livejit

import (
	"errors"
	"runtime"

	"livejit/internal/jitdebug"
)

// WithPerfMap writes every function, with its version, to /tmp/perf-PID.map, where `perf report`
// finds names of code that is in no file. It stays when the engine is closed. An error while code is loaded is told
// by Close.
func WithPerfMap() Option {
	return func(c *config) error { c.perfMap = true; return nil }
}

// WithJitDump writes every function with its version, machine code and, WithDebug, its lines to the file
// jit-PID.dump in a folder ("" is the working directory), in perf's jitdump format: `perf record -k mono`, then `perf inject --jit`. An
// error while code is loaded is told by Close.
func WithJitDump(dir string) Option {
	return func(c *config) error { c.jitDump, c.jitDumpDir = true, dir; return nil }
}

// perfFiles are what perf reads of an engine. Guarded by the engine's lock.
type perfFiles struct {
	table *jitdebug.PerfMap
	dump  *jitdebug.Dump
}

// openPerf opens what the options ask for. closePerf undoes it.
func (e *Engine) openPerf() (err error) {
	if e.config.perfMap {
		if e.perf.table, err = jitdebug.OpenPerfMap(); err != nil {
			return err
		}
	}
	if e.config.jitDump {
		e.perf.dump, err = jitdebug.OpenDump(e.config.jitDumpDir, machines[runtime.GOARCH])
	}
	return err
}

// tellPerf writes down what a transaction has published.
func (t *transaction) tellPerf() {
	e := t.engine
	if e.perf == (perfFiles{}) {
		return
	}
	for _, u := range t.link.units {
		functions := u.functions()
		if e.perf.table != nil {
			e.failed = errors.Join(e.failed, e.perf.table.Add(functions))
		}
		if e.perf.dump != nil && len(functions) > 0 {
			err := e.perf.dump.Add(u.pieces[0].debug, functions, func(f *jitdebug.Function) []byte { return nativeBytes(f.Start, f.Size) })
			e.failed = errors.Join(e.failed, err)
		}
	}
}

// closePerf ends the files.
func (e *Engine) closePerf() (err error) {
	if e.perf.table != nil {
		err = e.perf.table.Close()
	}
	if e.perf.dump != nil {
		err = errors.Join(err, e.perf.dump.Close())
	}
	e.perf = perfFiles{}
	return err
}
