package stubtable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// An encoding is how a machine writes a stub.
type encoding struct {
	// stub writes the 16 bytes of code; cell is the address of the page's miss cell.
	stub func(b []byte, s Stub, cell uint64) error
	// miss is the offset of the code that a slot leads to which leads nowhere.
	miss uint64
}

// encodings are named as in GOARCH.
var encodings = map[string]*encoding{
	"amd64": {stub: stubX86_64, miss: 8},
	"arm64": {stub: stubAArch64, miss: 12},
}

// stubX86_64 writes
//
//	0:  ff 25 disp32   jmp  *slot(%rip)     S - (P + 6)
//	6:  cc cc          int3; int3
//	8:  ff 15 disp32   call *miss(%rip)     S - (P + 14)
//	14: 0f 0b          ud2
//
// No register is touched. The call never returns: it is there for the word that it
// pushes.
func stubX86_64(b []byte, s Stub, cell uint64) error {
	copy(b, []byte{0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc, 0xff, 0x15, 0, 0, 0, 0, 0x0f, 0x0b})
	for _, ref := range []struct {
		end    uint64 // offset of the end of the instruction, whose last 4 bytes are the displacement
		target uint64
	}{{6, s.Slot}, {14, cell}} {
		d := int64(ref.target - (s.Addr + ref.end))
		if d < math.MinInt32 || d > math.MaxInt32 {
			return &DistanceError{Stub: s, Target: ref.target, Distance: d, Limit: 1 << 31}
		}
		binary.LittleEndian.PutUint32(b[ref.end-4:], uint32(d))
	}
	return nil
}

// stubAArch64 writes
//
//	0:  adrp x16, slot           Page(S) - Page(P), 21 bits of pages
//	4:  ldr  x16, [x16, #lo12]   S & 0xfff, in units of 8
//	8:  br   x16
//	12: brk  #0x6a               'j', to tell it from others in a core file
//
// x16 is the procedure call standard's register for linker-made code (AAPCS64, 6.1.1).
//
// A miss is a fault here, at the brk: a branch that links would lose the return address
// in x30, and four instructions leave no room to name the stub in another way when the
// slot was read by the caller. The miss cell is not used.
func stubAArch64(b []byte, s Stub, _ uint64) error {
	d := int64(s.Slot&^0xfff - s.Addr&^0xfff)
	if d < -1<<32 || d >= 1<<32 {
		return &DistanceError{Stub: s, Target: s.Slot, Distance: d, Limit: 1 << 32}
	}
	pages := uint32(d >> 12)
	le := binary.LittleEndian
	le.PutUint32(b[0:], 0x90000010|pages&3<<29|pages>>2&0x7ffff<<5)
	le.PutUint32(b[4:], 0xf9400210|uint32(s.Slot&0xfff)/SlotSize<<10)
	le.PutUint32(b[8:], 0xd61f0200)
	le.PutUint32(b[12:], 0xd4200000|0x6a<<5)
	return nil
}

// ErrClosed is returned by calls on a table after its Close.
var ErrClosed = errors.New("stubtable: the table is closed")

// MachineError says that there is no stub for a machine.
type MachineError struct{ Arch string }

func (e *MachineError) Error() string {
	return fmt.Sprintf("stubtable: no stub is known for %s, only for amd64 and arm64", e.Arch)
}

// DistanceError says that a slot or a page's miss cell is too far from its stub: the Memory
// broke its contract.
type DistanceError struct {
	Stub     Stub
	Target   uint64 // the slot or the miss cell
	Distance int64  // bytes from the stub's reference to the target
	Limit    int64  // bytes the instruction reaches in each direction
}

func (e *DistanceError) Error() string {
	what := "miss cell"
	if e.Target == e.Stub.Slot {
		what = "slot"
	}
	return fmt.Sprintf("stubtable: %s %#x is %d bytes from stub %#x, which reaches %d", what, e.Target, e.Distance, e.Stub.Addr, e.Limit)
}
