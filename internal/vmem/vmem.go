// Package vmem reserves address space for native code and gives it memory, so
// that no page is ever writable and executable at the same time.
//
// A Space is one contiguous range of addresses, at most 2 GiB, placed in the
// low 2 GiB of the process when it fits there. Parts of it are given memory
// with Map, as one of three kinds of Access. Code and read-only memory is seen
// through two views: the range itself, which executes or reads, and a writable
// alias at a constant distance. How the two views are made is the Mode:
//
//	MemFD    a memfd mapped twice (memfd_create(2))
//	Remap    shared anonymous memory, doubled with mremap(old_size = 0)
//	         (mremap(2)); for systems that refuse memfd
//	Protect  one view, made writable for the time of a write (mprotect(2)); for
//	         systems that refuse both. A page that is being written cannot be
//	         executed, so whoever places code must not let two pieces of code
//	         share a page: see Space.Dual.
//	ProcMem  one view of private memory, written through /proc/self/mem, which
//	         writes to what it may not (proc(5)). A write is a system call. Only
//	         in private memory can a debugger put breakpoints: the kernel refuses a
//	         tracer's write to shared memory that is mapped unwritable (get_user_pages, FOLL_FORCE). Never
//	         taken by Auto.
//
// Invariants:
//   - no mapping of a Space is both writable and executable, at any moment;
//   - the writable alias is not inherited by a child process (MADV_DONTFORK);
//   - Data memory is private and anonymous: a child gets its own copy. Code and
//     read-only memory is shared with a child that does not call exec: code that
//     the parent frees is gone for the child too. (In Protect mode it is private.);
//   - memory that was never written, or was given back, reads as zero.
//
// A Space keeps no record of who uses what: package codearena does. Methods may
// be called from any goroutine; two calls about the same bytes must be ordered
// by the caller. The only lock, Space.protect, is held for the time of one
// write in Protect mode and no other lock is taken under it.
package vmem

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Access says what a part of a Space is for.
type Access uint8

const (
	// Code executes and reads; it is written through the writable alias.
	Code Access = iota + 1
	// ReadOnly reads; it is written through the writable alias.
	ReadOnly
	// Data reads and writes in place and never executes.
	Data
)

// String names the access for error messages.
func (a Access) String() string {
	switch a {
	case Code:
		return "code"
	case ReadOnly:
		return "read-only"
	case Data:
		return "data"
	}
	return fmt.Sprintf("access %d", uint8(a))
}

// Mode says how code stays unwritable in the view that executes.
type Mode uint8

const (
	// Auto takes the first of MemFD, Remap and Protect that the system allows.
	Auto Mode = iota
	// MemFD maps one memfd twice.
	MemFD
	// Remap doubles shared anonymous memory with mremap.
	Remap
	// Protect has one view and changes its protection for each write.
	Protect
	// ProcMem has one view and writes to it by way of the kernel; for debuggers.
	ProcMem
)

// String names the mode for error messages.
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case MemFD:
		return "memfd"
	case Remap:
		return "mremap"
	case Protect:
		return "mprotect"
	case ProcMem:
		return "/proc/self/mem"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// MaxSize is the largest Space: a signed 32-bit displacement reaches from any
// byte of it to any other.
const MaxSize = 2 << 30

// Align is the alignment of a Space's first address.
const Align = 2 << 20

// PageSize is the unit of Map and GiveBack in bytes.
var PageSize = uint64(os.Getpagesize())

// Options say what to reserve.
type Options struct {
	// Size in bytes, rounded up to whole pages; more than 0, at most MaxSize.
	Size uint64
	// Mode forces one way to get two views; Auto is meant for everything but tests.
	Mode Mode
	// High keeps the Space out of the low 2 GiB.
	High bool
}

// Error is a request about memory that the system refused, or one that cannot be met.
type Error struct {
	Op   string // what was tried, for example "map code"
	Addr uint64 // first address, 0 if the system was to choose it
	Size uint64 // bytes
	Mode Mode
	Err  error
}

func (e *Error) Error() string {
	where := ""
	if e.Addr != 0 {
		where = fmt.Sprintf(" at %#x", e.Addr)
	}
	return fmt.Sprintf("vmem: %s (%d bytes%s, %s): %v", e.Op, e.Size, where, e.Mode, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Space is a reserved range of addresses. Close gives it back.
type Space struct {
	lo, hi uint64
	mode   Mode
	alias  uint64 // first address of the writable view of the whole range; 0 if there is one view
	fd     int    // the memfd, /proc/self/mem, or -1
	closed atomic.Bool

	protect sync.Mutex // orders writes in Protect mode
}

// Reserve reserves a range of addresses. No memory is used until Map, and then
// only what is touched. The range lies in the low 2 GiB at a random place if
// there is room and o.High is not set. Errors are *Error.
func Reserve(o Options) (*Space, error) {
	size := roundUp(o.Size, PageSize)
	if o.Size == 0 || o.Size > MaxSize {
		return nil, &Error{Op: "reserve", Size: o.Size, Mode: o.Mode,
			Err: fmt.Errorf("the size must be from 1 to %d bytes", uint64(MaxSize))}
	}
	if o.Mode != Auto {
		return reserve(size, o.Mode, o.High)
	}
	s, err := reserve(size, autoMode(), o.High)
	if err != nil && autoMode() == MemFD {
		// There may be no file descriptor left just now.
		if s, rerr := reserve(size, Remap, o.High); rerr == nil {
			return s, nil
		}
	}
	return s, err
}

func reserve(size uint64, mode Mode, high bool) (*Space, error) {
	lo, err := place(size, high)
	if err != nil {
		return nil, &Error{Op: "reserve", Size: size, Mode: mode, Err: err}
	}
	s := &Space{lo: lo, hi: lo + size, mode: mode, fd: -1}
	if err := s.openAlias(); err != nil {
		err = &Error{Op: "make a writable view", Size: size, Mode: mode, Err: err}
		if cerr := s.Close(); cerr != nil {
			err = fmt.Errorf("%w (and then: %v)", err, cerr)
		}
		return nil, err
	}
	return s, nil
}

// autoMode finds, once for the process, the first mode in which code memory can be had.
var autoMode = sync.OnceValue(probe)

func probe() Mode {
	for _, m := range []Mode{MemFD, Remap} {
		s, err := reserve(PageSize, m, true)
		if err != nil {
			continue
		}
		err = s.Map(s.lo, PageSize, Code)
		if cerr := s.Close(); err == nil && cerr == nil {
			return m
		}
	}
	return Protect
}

// Range returns the first address of the Space and the one after its last.
func (s *Space) Range() (lo, hi uint64) { return s.lo, s.hi }

// Mode returns the mode in use; never Auto.
func (s *Space) Mode() Mode { return s.mode }

// Dual reports whether memory is written without taking it from those who execute or read it. If
// not, code that may be executing must not share a page with memory that is written.
func (s *Space) Dual() bool { return s.mode != Protect }

// Writable returns the address at which the memory at addr is written. It is
// addr itself for Data, and in the modes with one view (where only Write and Fill may write).
func (s *Space) Writable(a Access, addr uint64) uint64 {
	if a == Data || s.alias == 0 {
		return addr
	}
	return addr - s.lo + s.alias
}

// Write copies p to addr, which must lie in memory that was mapped with access a.
// Once it returned, code written may be executed by any thread that learns of it.
// It makes no system call in the modes with two views. Errors are *Error.
func (s *Space) Write(a Access, addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	err := s.modify(a, addr, uint64(len(p)), func(b []byte) { copy(b, p) })
	if err == nil && a == Code {
		FlushInstructions(addr, uint64(len(p)))
	}
	return err
}

// Fill sets size bytes at addr to v; otherwise like Write.
func (s *Space) Fill(a Access, addr, size uint64, v byte) error {
	if size == 0 {
		return nil
	}
	err := s.modify(a, addr, size, func(b []byte) { fill(b, v) })
	if err == nil && a == Code {
		FlushInstructions(addr, size)
	}
	return err
}

// fill doubles the part already set, which copies with wide moves.
func fill(b []byte, v byte) {
	if v == 0 {
		clear(b)
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// modify calls f with a writable slice of the memory.
func (s *Space) modify(a Access, addr, size uint64, f func([]byte)) error {
	s.mustContain("write", addr, size)
	if s.mode == ProcMem && a != Data {
		b := make([]byte, size)
		f(b)
		return s.force(a, addr, b)
	}
	if a == Data || s.Dual() {
		f(bytesAt(s.Writable(a, addr), size))
		return nil
	}
	first := addr &^ (PageSize - 1)
	pages := bytesAt(first, roundUp(addr+size, PageSize)-first)
	s.protect.Lock()
	defer s.protect.Unlock()
	if err := unix.Mprotect(pages, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return &Error{Op: "make " + a.String() + " writable", Addr: first, Size: uint64(len(pages)), Mode: s.mode, Err: err}
	}
	f(bytesAt(addr, size))
	if err := unix.Mprotect(pages, protection(a)); err != nil {
		return &Error{Op: "make " + a.String() + " unwritable", Addr: first, Size: uint64(len(pages)), Mode: s.mode, Err: err}
	}
	return nil
}

// mustContain panics unless the memory lies in the Space and the Space is open.
func (s *Space) mustContain(op string, addr, size uint64) {
	if s.closed.Load() {
		panic("BUG: vmem: " + op + " after Close")
	}
	if addr < s.lo || addr > s.hi || size > s.hi-addr {
		panic(fmt.Sprintf("BUG: vmem: %s: %d bytes at %#x are outside %#x-%#x", op, size, addr, s.lo, s.hi))
	}
}

// protection gives the protection of the view that executes or reads.
func protection(a Access) int {
	switch a {
	case Code:
		return unix.PROT_READ | unix.PROT_EXEC
	case ReadOnly:
		return unix.PROT_READ
	case Data:
		return unix.PROT_READ | unix.PROT_WRITE
	}
	panic("BUG: vmem: " + a.String())
}

func roundUp(n, unit uint64) uint64 { return (n + unit - 1) &^ (unit - 1) }
