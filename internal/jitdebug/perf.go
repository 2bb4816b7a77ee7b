package jitdebug

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// PerfMap is the file in which perf looks for names of code that is in no file,
// /tmp/perf-PID.map: a line "start size name" for each function, in hexadecimal (Linux,
// tools/perf/Documentation/jit-interface.txt). Where addresses are used again the last line counts. All engines of a process share
// it; it stays when they are closed, since perf reads it afterwards. Safe for concurrent use.
type PerfMap struct{ file *os.File }

var perfMap struct {
	sync.Mutex
	file  *os.File
	users int
}

// PerfMapPath is where this process's map is.
func PerfMapPath() string { return fmt.Sprintf("/tmp/perf-%d.map", os.Getpid()) }

// OpenPerfMap opens the process's map; the first to do so begins it anew.
func OpenPerfMap() (*PerfMap, error) {
	perfMap.Lock()
	defer perfMap.Unlock()
	if perfMap.file == nil {
		f, err := os.OpenFile(PerfMapPath(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, fmt.Errorf("perf map: %w", err)
		}
		perfMap.file = f
	}
	perfMap.users++
	return &PerfMap{perfMap.file}, nil
}

// Add writes functions down.
func (m *PerfMap) Add(functions []Function) error {
	var b []byte
	for i := range functions {
		f := &functions[i]
		b = fmt.Appendf(b, "%x %x %s\n", f.Start, f.Size, f.Title())
	}
	_, err := m.file.Write(b) // one write: lines of several engines do not mix (O_APPEND)
	return err
}

// Close ends the use of the file; the last one closes it.
func (m *PerfMap) Close() error {
	perfMap.Lock()
	defer perfMap.Unlock()
	if perfMap.users--; perfMap.users > 0 {
		return nil
	}
	f := perfMap.file
	perfMap.file = nil
	return f.Close()
}

// Numbers of the jitdump format (Linux, tools/perf/Documentation/jitdump-specification.txt).
const (
	jitdumpMagic   = 0x4A695444
	jitdumpVersion = 1
	jitCodeLoad    = 0
	jitDebugInfo   = 2
	jitCodeClose   = 3

	jitHeaderSize = 40
	jitPrefixSize = 16
	jitLoadSize   = jitPrefixSize + 40 // without name and code
)

// Dump is a file in the jitdump format: names, machine code and lines, which `perf inject --jit`
// puts together with what `perf record -k mono` has recorded. Its methods are not safe for concurrent use.
type Dump struct {
	file   *os.File
	marker []byte
	index  uint64
}

// dumps counts the dumps of the process: each has a name of its own.
var dumps struct {
	sync.Mutex
	n int
}

// OpenDump makes the file dir/jit-PID.dump (for further engines jit-PID-N.dump) and maps a page of it executable, which is how
// perf record learns of it.
func OpenDump(dir string, machine elf.Machine) (*Dump, error) {
	dumps.Lock()
	defer dumps.Unlock()
	name := fmt.Sprintf("jit-%d.dump", os.Getpid())
	if dumps.n > 0 {
		name = fmt.Sprintf("jit-%d-%d.dump", os.Getpid(), dumps.n)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("jitdump: %w", err)
	}
	le := binary.LittleEndian
	h := le.AppendUint32(nil, jitdumpMagic)
	h = le.AppendUint32(h, jitdumpVersion)
	h = le.AppendUint32(h, jitHeaderSize)
	h = le.AppendUint32(h, uint32(machine))
	h = le.AppendUint32(h, 0)
	h = le.AppendUint32(h, uint32(os.Getpid()))
	h = le.AppendUint64(h, monotonic())
	h = le.AppendUint64(h, 0)
	d := &Dump{file: f}
	if _, err = f.Write(h); err == nil {
		d.marker, err = unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("jitdump: %s: %w", f.Name(), err), f.Close())
	}
	dumps.n++
	return d, nil
}

// Path returns the name of the file.
func (d *Dump) Path() string { return d.file.Name() }

// Add writes functions down; code returns the machine code of one, lines are those of o, which may be nil.
func (d *Dump) Add(o *Object, functions []Function, code func(*Function) []byte) error {
	var b []byte
	for i := range functions {
		f := &functions[i]
		if o != nil {
			b = appendLinesOf(b, o, f)
		}
		body, name := code(f), f.Title()
		b = appendPrefix(b, jitCodeLoad, jitLoadSize+len(name)+1+len(body))
		le := binary.LittleEndian
		b = le.AppendUint32(b, uint32(os.Getpid()))
		b = le.AppendUint32(b, uint32(unix.Gettid()))
		b = le.AppendUint64(b, f.Start)
		b = le.AppendUint64(b, f.Start)
		b = le.AppendUint64(b, uint64(len(body)))
		b = le.AppendUint64(b, d.index)
		b = append(append(b, name...), 0)
		b = append(b, body...)
		d.index++
	}
	_, err := d.file.Write(b)
	return err
}

// appendLinesOf adds the record of a function's lines, which comes before that of its code.
func appendLinesOf(b []byte, o *Object, f *Function) []byte {
	le := binary.LittleEndian
	var entries []byte
	n := uint64(0)
	for _, l := range o.rows(f.Start, f.Start+f.Size) {
		entries = le.AppendUint64(entries, l.pc)
		entries = le.AppendUint32(entries, uint32(l.line))
		entries = le.AppendUint32(entries, 0)
		entries = append(append(entries, l.file...), 0)
		n++
	}
	if n == 0 {
		return b
	}
	b = appendPrefix(b, jitDebugInfo, jitPrefixSize+16+len(entries))
	b = le.AppendUint64(b, f.Start)
	b = le.AppendUint64(b, n)
	return append(b, entries...)
}

// rows returns the rows of the line table in [lo, hi).
func (o *Object) rows(lo, hi uint64) []line {
	o.table.Do(func() { o.lines, o.fault = o.readLines() })
	var rows []line
	for _, l := range o.lines {
		if l.pc >= lo && l.pc < hi && l.file != "" {
			rows = append(rows, l)
		}
	}
	return rows
}

func appendPrefix(b []byte, id uint32, size int) []byte {
	b = binary.LittleEndian.AppendUint32(b, id)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	return binary.LittleEndian.AppendUint64(b, monotonic())
}

// Close ends the file.
func (d *Dump) Close() error {
	_, err := d.file.Write(appendPrefix(nil, jitCodeClose, jitPrefixSize))
	return errors.Join(err, unix.Munmap(d.marker), d.file.Close())
}

// monotonic is the time of perf's clock "mono" in nanoseconds.
func monotonic() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("BUG: jitdebug: no monotonic clock: " + err.Error())
	}
	return uint64(t.Nano())
}
