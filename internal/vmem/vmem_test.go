package vmem

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

var modes = []Mode{MemFD, Remap, Protect, ProcMem}

func eachMode(t *testing.T, f func(t *testing.T, m Mode)) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) { f(t, m) })
	}
}

func newSpace(t *testing.T, o Options) *Space {
	t.Helper()
	s, err := Reserve(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A mapping is one entry of /proc/self/smaps.
type mapping struct {
	lo, hi uint64
	perm   string
	flags  []string
}

func (m mapping) has(flag string) bool {
	for _, f := range m.flags {
		if f == flag {
			return true
		}
	}
	return false
}

func mappings(t *testing.T) []mapping {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	var all []mapping
	for line := range strings.Lines(string(text)) {
		var m mapping
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &m.lo, &m.hi, &m.perm); n == 3 {
			all = append(all, m)
		} else if rest, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			all[len(all)-1].flags = strings.Fields(rest)
		}
	}
	return all
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestViews(t *testing.T) {
	eachMode(t, func(t *testing.T, m Mode) {
		s := newSpace(t, Options{Size: 64 << 20, Mode: m})
		lo, _ := s.Range()
		for i, a := range []Access{Code, ReadOnly, Data} {
			addr := lo + uint64(i)<<20
			if err := s.Map(addr, 16*PageSize, a); err != nil {
				t.Fatal(err)
			}
			want := []byte("the quick brown fox jumps over a page boundary")
			at := addr + PageSize - 7
			if err := s.Write(a, at, want); err != nil {
				t.Fatal(err)
			}
			if got := bytesAt(at, uint64(len(want))); !bytes.Equal(got, want) {
				t.Errorf("%v: read %q", a, got)
			}
			if s.alias != 0 && a != Data {
				if got := bytesAt(s.Writable(a, at), uint64(len(want))); !bytes.Equal(got, want) || s.Writable(a, at) == at {
					t.Errorf("%v: writable view %#x has %q", a, s.Writable(a, at), got)
				}
			} else if s.Writable(a, at) != at {
				t.Errorf("%v: written at %#x, not in place", a, s.Writable(a, at))
			}
			for _, size := range []uint64{0, 1, 2, 3, 63, 64, 1000, 3 * PageSize} {
				if err := s.Fill(a, addr+5, size, 0xcc); err != nil {
					t.Fatal(err)
				}
				if got := bytesAt(addr+5, size); len(bytes.Trim(got, "\xcc")) > 0 {
					t.Errorf("%v: fill of %d bytes left %x", a, size, got)
				}
				if got := bytesAt(addr+5+size, 1)[0]; size < 1000 && got == 0xcc {
					t.Errorf("%v: fill of %d bytes went beyond", a, size)
				}
			}
			if err := s.GiveBack(a, addr, 16*PageSize); err != nil {
				t.Fatal(err)
			}
			if got := bytesAt(addr, 16*PageSize); len(bytes.Trim(got, "\x00")) > 0 {
				t.Errorf("%v: memory that was given back is not zero", a)
			}
		}
	})
}

// No page is writable and executable, the alias stays with this process, and
// neighbours of equal access are one mapping.
func TestProtection(t *testing.T) {
	eachMode(t, func(t *testing.T, m Mode) {
		s := newSpace(t, Options{Size: 64 << 20, Mode: m})
		lo, hi := s.Range()
		for i := range uint64(8) {
			for k, a := range []Access{Code, ReadOnly, Data} {
				addr := lo + uint64(k)*(16<<20) + i<<20
				if err := s.Map(addr, 1<<20, a); err != nil {
					t.Fatal(err)
				}
				if err := s.Write(a, addr, []byte{0xc3}); err != nil {
					t.Fatal(err)
				}
			}
		}
		inRange := 0
		for _, m := range mappings(t) {
			if strings.Contains(m.perm, "w") && strings.Contains(m.perm, "x") {
				t.Errorf("%#x-%#x is %s", m.lo, m.hi, m.perm)
			}
			switch {
			case m.lo >= lo && m.hi <= hi:
				inRange++
				if m.has("dc") {
					t.Errorf("%#x-%#x of the range is not inherited", m.lo, m.hi)
				}
				want := "---p"
				switch (m.lo - lo) % (16 << 20) {
				case 0:
					want = []string{"r-xs", "r--s", "rw-p"}[(m.lo-lo)/(16<<20)]
					if s.alias == 0 {
						want = want[:3] + "p"
					}
				}
				if m.lo-lo < 48<<20 && m.perm != want {
					t.Errorf("%#x-%#x of the range is %s, want %s", m.lo, m.hi, m.perm, want)
				}
			case s.alias != 0 && m.lo <= s.alias && s.alias < m.hi:
				if m.perm != "rw-s" || !m.has("dc") {
					t.Errorf("alias %#x-%#x is %s %v, want rw-s and dc", m.lo, m.hi, m.perm, m.flags)
				}
			}
		}
		if inRange > 6 {
			t.Errorf("%d mappings in the range", inRange)
		}
	})
}

func TestLifetimesLeaveNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, m Mode) {
		cycle := func() {
			s, err := Reserve(Options{Size: 1 << 30, Mode: m})
			if err != nil {
				t.Fatal(err)
			}
			lo, _ := s.Range()
			if err := s.Map(lo, 1<<20, Code); err != nil {
				t.Fatal(err)
			}
			if err := s.Write(Code, lo, []byte{0xc3}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		cycle()
		maps, files := len(mappings(t)), openFiles(t)
		for range 300 {
			cycle()
		}
		// The Go runtime may map an arena of its heap meanwhile.
		if got := len(mappings(t)); got > maps+10 {
			t.Errorf("%d mappings, %d before", got, maps)
		}
		if got := openFiles(t); got != files {
			t.Errorf("%d open files, %d before", got, files)
		}
	})
}

func TestPlace(t *testing.T) {
	for range 4 { // the second finds the first in the way
		s := newSpace(t, Options{Size: 256 << 20})
		lo, hi := s.Range()
		if lo%Align != 0 || hi-lo != 256<<20 {
			t.Errorf("range %#x-%#x", lo, hi)
		}
		if hi > low {
			t.Errorf("range %#x-%#x is not in the low 2 GiB", lo, hi)
		}
	}
	for _, o := range []Options{{Size: 1 << 30, High: true}, {Size: MaxSize}} {
		s := newSpace(t, o)
		if lo, hi := s.Range(); lo < low || lo%Align != 0 || hi-lo != o.Size {
			t.Errorf("%+v: range %#x-%#x", o, lo, hi)
		}
	}
}

// A full low 2 GiB sends spaces elsewhere and displaces nothing.
func TestPlaceCrowded(t *testing.T) {
	var high int
	for range 8 {
		s := newSpace(t, Options{Size: 1 << 30})
		lo, _ := s.Range()
		if err := s.Map(lo, PageSize, Data); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(Data, lo, []byte{1}); err != nil {
			t.Fatal(err)
		}
		if lo >= low {
			high++
		}
	}
	if high < 6 {
		t.Errorf("%d of 8 spaces of 1 GiB are high", high)
	}
}

func TestReserveErrors(t *testing.T) {
	for _, size := range []uint64{0, MaxSize + 1, 1 << 63, ^uint64(0)} {
		_, err := Reserve(Options{Size: size})
		var e *Error
		if !errors.As(err, &e) || e.Op != "reserve" || e.Size != size {
			t.Errorf("size %#x: %v", size, err)
		}
	}
}

// What the system refuses is an error that says what and where, and leaves nothing.
func TestSystemRefuses(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	maps := len(mappings(t))
	if m := probe(); m != MemFD {
		t.Errorf("the mode is %v", m)
	}
	lowered := old
	lowered.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	_, err := Reserve(Options{Size: 1 << 20, Mode: MemFD})
	probed := probe()
	auto, autoErr := Reserve(Options{Size: 1 << 20})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "make a writable view (1048576 bytes, memfd)") {
		t.Errorf("error %v", err)
	}
	if probed != Remap || autoErr != nil || auto.Mode() != Remap {
		t.Fatalf("without memfd the mode is %v, and %v, %v", probed, auto, autoErr)
	}
	if err := auto.Close(); err != nil {
		t.Error(err)
	}
	if got := len(mappings(t)); got > maps+4 {
		t.Errorf("%d mappings, %d before", got, maps)
	}
}

func TestMisuse(t *testing.T) {
	s := newSpace(t, Options{Size: 1 << 20})
	lo, hi := s.Range()
	closed, err := Reserve(Options{Size: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	clo, _ := closed.Range()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"before":     func() error { return s.Write(Data, lo-1, []byte{1}) },
		"behind":     func() error { return s.Fill(Data, hi, 1, 0) },
		"across":     func() error { return s.Write(Data, hi-1, []byte{1, 2}) },
		"wraps":      func() error { return s.Fill(Data, lo, ^uint64(0), 0) },
		"map part":   func() error { return s.Map(lo, 100, Data) },
		"back part":  func() error { return s.GiveBack(Data, lo+8, PageSize) },
		"closed":     func() error { return closed.Write(Data, clo, []byte{1}) },
		"closed map": func() error { return closed.Map(clo, PageSize, Data) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); !strings.HasPrefix(fmt.Sprint(r), "BUG: vmem: ") {
					t.Errorf("panic %v", r)
				}
			}()
			t.Errorf("returned %v", f())
		})
	}
}

// Writers of different pages do not disturb each other in any mode.
func TestConcurrentWrites(t *testing.T) {
	eachMode(t, func(t *testing.T, m Mode) {
		s := newSpace(t, Options{Size: 1 << 20, Mode: m})
		lo, _ := s.Range()
		if err := s.Map(lo, 16*PageSize, Code); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range uint64(8) {
			wg.Go(func() {
				for n := range 200 {
					want := bytes.Repeat([]byte{byte(n), byte(i)}, 100)
					at := lo + 2*i*PageSize + PageSize - 50
					if err := s.Write(Code, at, want); err != nil {
						t.Error(err)
						return
					}
					if got := bytesAt(at, 200); !bytes.Equal(got, want) {
						t.Errorf("writer %d reads %x", i, got)
					}
				}
			})
		}
		wg.Wait()
	})
}

func BenchmarkReserveClose(b *testing.B) {
	for _, m := range modes {
		b.Run(m.String(), func(b *testing.B) {
			for b.Loop() {
				s, err := Reserve(Options{Size: 1 << 30, Mode: m})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
