package codearena

import (
	"testing"

	"livejit/internal/vmem"
)

func BenchmarkAllocateFree(b *testing.B) {
	a := newArena(b, Options{})
	for b.Loop() {
		s, err := a.Allocate(Request{Kind: Code, Size: 300})
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Free(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllocateWriteFreeAmong100000(b *testing.B) {
	a := newArena(b, Options{})
	var spans []Span
	for i := range 100000 {
		spans = append(spans, allocate(b, a, Request{Kind: Code, Size: uint64(64 + i*37%900)}))
	}
	body := make([]byte, 300)
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(spans)
		if err := a.Free(spans[i]); err != nil {
			b.Fatal(err)
		}
		var err error
		if spans[i], err = a.Allocate(Request{Kind: Code, Size: uint64(64 + i*53%900)}); err != nil {
			b.Fatal(err)
		}
		if err := a.Write(spans[i], 0, body[:min(300, spans[i].Size)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLifetime(b *testing.B) {
	for _, m := range []vmem.Mode{vmem.MemFD, vmem.Remap, vmem.Protect} {
		b.Run(m.String(), func(b *testing.B) {
			for b.Loop() {
				a, err := New(Options{Mode: m})
				if err != nil {
					b.Fatal(err)
				}
				for _, k := range []Kind{Code, ReadOnly, Data} {
					if _, err := a.Allocate(Request{Kind: k, Size: 100}); err != nil {
						b.Fatal(err)
					}
				}
				if err := a.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
