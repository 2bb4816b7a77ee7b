package codearena

import (
	"bytes"
	"errors"
	"sync"
	"testing"
)

// FuzzArena runs a program of requests and frees on a small arena. Oracle: a map
// from granules to owners, the content of each span, and the arena's own invariants.
func FuzzArena(f *testing.F) {
	f.Add([]byte("\x00\x10\x00\x00\x21\x00\x40\x01\xff\x80\x00\x02"))
	f.Add(bytes.Repeat([]byte{0x03, 0x7f, 0x08, 0x80, 0x01, 0x00}, 40))
	f.Add(bytes.Repeat([]byte{0x02, 0xff, 0xff, 0x00, 0x11, 0x90, 0x81, 0x02, 0x03}, 30))
	f.Fuzz(func(t *testing.T, program []byte) {
		a := newArena(t, Options{Size: 4 << 20})
		h := hammer{t: t, a: a, owners: make([]sync.Map, numPools), id: 1}
		for len(program) >= 3 {
			op, x, y := program[0], uint64(program[1]), uint64(program[2])
			program = program[3:]
			if op&0x80 != 0 {
				if len(h.spans) > 0 {
					h.free(int(x<<8|y) % len(h.spans))
				}
				continue
			}
			r := Request{Kind: Kind(op % 5), Size: x << (y % 11), Align: 1 << (y / 13 % 17)}
			if s, err := a.Allocate(r); err == nil {
				free(t, a, s)
				h.allocate(r)
			} else if e := (*ExhaustedError)(nil); !errors.As(err, &e) {
				t.Fatal(err)
			}
			if err := a.pools[poolOf[r.Kind]].check(a); err != nil {
				t.Fatal(err)
			}
		}
		for len(h.spans) > 0 {
			h.free(len(h.spans) / 2)
		}
		checkEmpty(t, a)
	})
}
