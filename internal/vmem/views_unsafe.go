package vmem

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// low is the end of the addresses that R_X86_64_32S and R_X86_64_32 both reach.
const low = 2 << 30

// reserveFlags: address space only. NORESERVE keeps it out of commit accounting.
const reserveFlags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE

// place reserves size bytes, aligned to Align, without access.
func place(size uint64, high bool) (uint64, error) {
	if !high {
		if lo, ok := placeLow(size); ok {
			return lo, nil
		}
	}
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size+Align), unix.PROT_NONE, reserveFlags)
	if err != nil {
		return 0, err
	}
	base := uint64(uintptr(p))
	lo := roundUp(base, Align)
	return lo, errors.Join(unmap(base, lo-base), unmap(lo+size, base+Align-lo))
}

// placeLow looks for room below 2 GiB: first at random, so that addresses of one
// process say little about those of the next, then at evenly spaced places. What
// another Space or the program itself holds is never displaced.
func placeLow(size uint64) (uint64, bool) {
	// The lowest part is left to the program's image and its break.
	const floor = 256 << 20
	if size > low-floor {
		return 0, false
	}
	room := (low-floor-size)/Align + 1
	const guesses, steps = 6, 12
	for range guesses {
		if lo := floor + rand.Uint64N(room)*Align; reserveAt(lo, size) {
			return lo, true
		}
	}
	for i := range uint64(steps) {
		if lo := floor + i*(room-1)/(steps-1)*Align; reserveAt(lo, size) {
			return lo, true
		}
	}
	return 0, false
}

// reserveAt reserves exactly [lo, lo+size) if nothing is there.
func reserveAt(lo, size uint64) bool {
	p, err := unix.MmapPtr(-1, 0, pointer(lo), uintptr(size), unix.PROT_NONE, reserveFlags|unix.MAP_FIXED_NOREPLACE)
	if err != nil {
		return false
	}
	if got := uint64(uintptr(p)); got != lo {
		// A kernel before 4.17 takes the address for a hint. Failing to unmap
		// what was just mapped could only lose address space.
		_ = unmap(got, size)
		return false
	}
	return true
}

// openAlias makes the writable view of the whole range. It uses no memory until
// it is written.
func (s *Space) openAlias() error {
	size := s.hi - s.lo
	flags := unix.MAP_SHARED | unix.MAP_NORESERVE
	switch s.mode {
	case Protect:
		return nil
	case ProcMem:
		fd, err := unix.Open("/proc/self/mem", unix.O_RDWR|unix.O_CLOEXEC, 0)
		s.fd = fd
		return err
	case MemFD:
		fd, err := openMemFD(int64(size))
		if err != nil {
			return err
		}
		s.fd = fd
	case Remap:
		flags |= unix.MAP_ANONYMOUS
	default:
		panic("BUG: vmem: " + s.mode.String())
	}
	p, err := unix.MmapPtr(s.fd, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return err
	}
	s.alias = uint64(uintptr(p))
	return unix.Madvise(bytesAt(s.alias, size), unix.MADV_DONTFORK)
}

// noExecFlag is set once the kernel turned out not to know MFD_EXEC (before 6.3).
var noExecFlag atomic.Bool

func openMemFD(size int64) (int, error) {
	flags := unix.MFD_CLOEXEC
	if !noExecFlag.Load() {
		flags |= unix.MFD_EXEC
	}
	fd, err := unix.MemfdCreate("livejit", flags)
	if errors.Is(err, unix.EINVAL) && flags&unix.MFD_EXEC != 0 {
		noExecFlag.Store(true)
		fd, err = unix.MemfdCreate("livejit", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, err
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// Map gives memory to size bytes at addr, both in whole pages, that have none
// yet. Neighbours of equal access join into one mapping of the kernel. Errors
// are *Error.
func (s *Space) Map(addr, size uint64, a Access) error {
	s.mustContain("map", addr, size)
	if addr%PageSize != 0 || size%PageSize != 0 {
		panic("BUG: vmem: map: not in whole pages")
	}
	var err error
	switch {
	case a == Data || s.alias == 0:
		err = unix.Mprotect(bytesAt(addr, size), protection(a))
	case s.mode == MemFD:
		_, err = unix.MmapPtr(s.fd, int64(addr-s.lo), pointer(addr), uintptr(size), protection(a),
			unix.MAP_SHARED|unix.MAP_FIXED|unix.MAP_NORESERVE)
	case s.mode == Remap:
		// An old size of 0 doubles a shared mapping. The copy has the protection
		// of the original, which is not executable, until the call after it.
		_, err = unix.MremapPtr(pointer(s.Writable(a, addr)), 0, pointer(addr), uintptr(size),
			unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
		if err == nil {
			err = errors.Join(
				unix.Mprotect(bytesAt(addr, size), protection(a)),
				// The copy inherited "not inherited".
				unix.Madvise(bytesAt(addr, size), unix.MADV_DOFORK))
		}
	}
	if err != nil {
		return &Error{Op: "map " + a.String(), Addr: addr, Size: size, Mode: s.mode, Err: err}
	}
	return nil
}

// GiveBack returns the memory of whole pages to the system; they stay mapped and
// read as zero. Errors are *Error.
func (s *Space) GiveBack(a Access, addr, size uint64) error {
	s.mustContain("give back", addr, size)
	if addr%PageSize != 0 || size%PageSize != 0 {
		panic("BUG: vmem: give back: not in whole pages")
	}
	advice := unix.MADV_REMOVE // punches a hole into the shared memory, seen by both views
	if a == Data || s.alias == 0 {
		advice = unix.MADV_DONTNEED
	}
	if err := unix.Madvise(bytesAt(s.Writable(a, addr), size), advice); err != nil {
		return &Error{Op: "give back " + a.String(), Addr: addr, Size: size, Mode: s.mode, Err: err}
	}
	return nil
}

// force writes to memory that is mapped unwritable.
func (s *Space) force(a Access, addr uint64, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(s.fd, p, int64(addr))
		if err != nil {
			return &Error{Op: "write to " + a.String(), Addr: addr, Size: uint64(len(p)), Mode: s.mode, Err: err}
		}
		p, addr = p[n:], addr+uint64(n)
	}
	return nil
}

// Close unmaps everything. Nothing may execute in the Space or use its data any
// more. A second Close does nothing. Errors are *Error.
func (s *Space) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	errs := []error{unmap(s.lo, s.hi-s.lo)}
	if s.alias != 0 {
		errs = append(errs, unmap(s.alias, s.hi-s.lo))
	}
	if s.fd >= 0 {
		errs = append(errs, unix.Close(s.fd))
	}
	if err := errors.Join(errs...); err != nil {
		return &Error{Op: "close", Addr: s.lo, Size: s.hi - s.lo, Mode: s.mode, Err: err}
	}
	return nil
}

func unmap(addr, size uint64) error {
	if size == 0 {
		return nil
	}
	return unix.MunmapPtr(pointer(addr), uintptr(size))
}

// pointer turns an address outside the Go heap into a pointer. Reading it
// through a variable says so to vet: the collector never moves such memory.
func pointer(addr uint64) unsafe.Pointer {
	p := uintptr(addr)
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// bytesAt is the memory at addr as a slice.
func bytesAt(addr, size uint64) []byte {
	return unsafe.Slice((*byte)(pointer(addr)), size)
}
