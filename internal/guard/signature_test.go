package guard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"livejit/internal/guard/internal/guardtest"
)

// cType is a C type with its class in the psABI (3.2.3).
type cType struct {
	name   string
	size   int
	class  byte // i: integer register, f: vector register, x: x87, memory as argument, w: two integer registers
	signed bool
}

var cTypes = []cType{
	{"signed char", 1, 'i', true}, {"unsigned char", 1, 'i', false}, {"short", 2, 'i', true}, {"unsigned short", 2, 'i', false},
	{"int", 4, 'i', true}, {"unsigned", 4, 'i', false}, {"long", 8, 'i', true}, {"void *", 8, 'i', false},
	{"float", 4, 'f', false}, {"double", 8, 'f', false}, {"float", 4, 'f', false}, {"double", 8, 'f', false},
	{"long double", 10, 'x', false}, {"__int128", 16, 'w', true},
}

type signature struct {
	result cType
	params []cType
}

// place puts or takes one value in argument order: registers first, then the stack.
type placer struct {
	integer    *[6]uint64
	float      *[8]uint64
	stack      []uint64
	ni, nf, ns int
}

func (p *placer) slots(t cType) []*uint64 {
	onStack := func(words int) []*uint64 {
		if words == 2 {
			p.ns += p.ns & 1
		}
		var s []*uint64
		for range words {
			if p.stack == nil {
				s = append(s, new(uint64))
			} else {
				s = append(s, &p.stack[p.ns])
			}
			p.ns++
		}
		return s
	}
	switch {
	case t.class == 'i' && p.ni < 6:
		p.ni++
		return []*uint64{&p.integer[p.ni-1]}
	case t.class == 'f' && p.nf < 8:
		p.nf++
		return []*uint64{&p.float[p.nf-1]}
	case t.class == 'w' && p.ni < 5:
		p.ni += 2
		return []*uint64{&p.integer[p.ni-2], &p.integer[p.ni-1]}
	case t.class == 'w' || t.class == 'x':
		return onStack(2)
	}
	return onStack(1)
}

func (s signature) stackWords() int {
	p := placer{integer: new([6]uint64), float: new([8]uint64)}
	for _, t := range s.params {
		p.slots(t)
	}
	return p.ns
}

// words widens a value as clang's callees expect: to 32 bits at least.
func words(t cType, v [16]byte) [2]uint64 {
	lo, hi := binary.LittleEndian.Uint64(v[:8]), binary.LittleEndian.Uint64(v[8:])
	if bits := uint(64 - 8*min(t.size, 8)); t.class == 'i' && bits > 0 {
		if t.signed {
			return [2]uint64{uint64(int64(lo<<bits) >> bits)}
		}
		return [2]uint64{lo << bits >> bits}
	}
	return [2]uint64{lo, hi}
}

func randomValue(r *rand.Rand, t cType) (v [16]byte) {
	for i := range t.size {
		v[i] = byte(r.Uint32())
	}
	if t.class == 'x' {
		v[7] |= 0x80 // a normal number
		v[9], v[8] = 0x40, 0x01
	}
	if t.class == 'f' {
		v[t.size-1] = 0x41 // no signalling NaN
	}
	return v
}

func cSource(sigs []signature) string {
	var b strings.Builder
	b.WriteString("#include <string.h>\nunsigned char args[32][16], result[16];\n")
	for i, s := range sigs {
		var params, types, record, load, names []string
		for j, t := range s.params {
			params = append(params, fmt.Sprintf("%s a%d", t.name, j))
			types = append(types, t.name)
			record = append(record, fmt.Sprintf("memcpy(args[%d], &a%d, %d);", j, j, t.size))
			load = append(load, fmt.Sprintf("%s a%d; memcpy(&a%d, args[%d], %d);", t.name, j, j, j, t.size))
			names = append(names, fmt.Sprintf("a%d", j))
		}
		fmt.Fprintf(&b, "%s f%d(%s) { %s %s r = 0; memcpy(&r, result, %d); return r; }\n", s.result.name, i, strings.Join(params, ", "),
			strings.Join(record, " "), s.result.name, s.result.size)
		if s.result.class != 'x' {
			fmt.Fprintf(&b, "void call%d(%s (*fn)(%s)) { %s %s r = fn(%s); memcpy(result, &r, %d); }\n", i, s.result.name, strings.Join(types, ", "),
				strings.Join(load, " "), s.result.name, strings.Join(names, ", "), s.result.size)
		}
	}
	return b.String()
}

// TestSignatures compares both directions with gcc's idea of the calling convention, over random signatures.
func TestSignatures(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sigs := make([]signature, 300)
	for i := range sigs {
		sigs[i].result = cTypes[r.IntN(len(cTypes))]
		for range r.IntN(26) {
			sigs[i].params = append(sigs[i].params, cTypes[r.IntN(len(cTypes))])
		}
	}
	dir := t.TempDir()
	source, lib := filepath.Join(dir, "signatures.c"), filepath.Join(dir, "signatures.so")
	if err := os.WriteFile(source, []byte(cSource(sigs)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-O1", "-shared", "-fPIC", "-o", lib, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	lookup, err := guardtest.Open(lib)
	if err != nil {
		t.Fatal(err)
	}
	args, result := bytesAt(lookup("args"), 32*16), bytesAt(lookup("result"), 16)
	for i, s := range sigs {
		for range 5 {
			values := make([][16]byte, len(s.params))
			for j, p := range s.params {
				values[j] = randomValue(r, p)
			}
			want := randomValue(r, s.result)
			if err := s.checkCall(lookup(fmt.Sprint("f", i)), values, want, args, result); err != nil {
				t.Fatalf("call of %v: %v", s, err)
			}
			if s.result.class == 'x' {
				continue
			}
			if err := s.checkCallback(lookup(fmt.Sprint("call", i)), values, want, args, result); err != nil {
				t.Fatalf("callback of %v: %v", s, err)
			}
		}
	}
}

func (s signature) checkCall(fn uint64, values [][16]byte, want [16]byte, args, result []byte) error {
	f := NewFrame(s.stackWords())
	f.Fn = fn
	p := placer{integer: &f.Int, float: &f.Float, stack: f.Stack()}
	for j, t := range s.params {
		w := words(t, values[j])
		for k, slot := range p.slots(t) {
			*slot = w[k]
		}
	}
	if s.result.class == 'x' {
		f.X87 = 1
	}
	copy(result, want[:])
	clear(args)
	if err := Call(f); err != nil {
		return err
	}
	for j, t := range s.params {
		if !bytes.Equal(args[16*j:16*j+t.size], values[j][:t.size]) {
			return fmt.Errorf("argument %d is % x, want % x", j, args[16*j:16*j+t.size], values[j][:t.size])
		}
	}
	var got [16]byte
	switch s.result.class {
	case 'x':
		got = f.RetX87[0]
	case 'f':
		binary.LittleEndian.PutUint64(got[:], f.RetFloat[0])
	default:
		binary.LittleEndian.PutUint64(got[:], f.RetInt[0])
		binary.LittleEndian.PutUint64(got[8:], f.RetInt[1])
	}
	if !bytes.Equal(got[:s.result.size], want[:s.result.size]) {
		return fmt.Errorf("result is % x, want % x", got, want)
	}
	return nil
}

func (s signature) checkCallback(fn uint64, values [][16]byte, want [16]byte, args, result []byte) error {
	var bad error
	h := NewCallback(func(c *Callback) {
		p := placer{integer: &c.Int, float: &c.Float, stack: c.Stack(0, s.stackWords()+1)}
		for j, t := range s.params {
			var got [16]byte
			for k, slot := range p.slots(t) {
				binary.LittleEndian.PutUint64(got[8*k:], *slot)
			}
			if !bytes.Equal(got[:t.size], values[j][:t.size]) {
				bad = fmt.Errorf("argument %d is % x, want % x", j, got[:t.size], values[j][:t.size])
			}
		}
		w := words(s.result, want)
		if s.result.class == 'f' {
			c.RetFloat[0] = w[0]
		} else {
			c.RetInt = w
		}
	})
	defer h.Release()
	for j := range values {
		copy(args[16*j:], values[j][:])
	}
	clear(result)
	f := &Frame{Fn: fn, Int: [6]uint64{guardtest.Place(h.Code())}}
	if err := Call(f); err != nil {
		return err
	}
	if bad == nil && !bytes.Equal(result[:s.result.size], want[:s.result.size]) {
		bad = fmt.Errorf("result is % x, want % x", result, want)
	}
	return bad
}
