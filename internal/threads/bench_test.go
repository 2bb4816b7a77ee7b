package threads_test

import (
	"testing"

	"livejit/internal/threads"
	"livejit/internal/threads/internal/threadstest"
)

// benchmark scans for 64 ranges with n threads that wait in one way.
func benchmark(b *testing.B, n, pause int, once func([]threads.Range)) {
	var actors []threadstest.Actor
	for range n {
		a := threadstest.Start(threadstest.Pthread, threadstest.Stack, pause, kept)
		a.AwaitExactly(1)
		actors = append(actors, a)
	}
	ranges := make([]threads.Range, 64)
	for i := range ranges {
		ranges[i] = threads.Range{Lo: uint64(kept + 0x1000*(i+1)), Hi: uint64(kept + 0x1000*(i+1) + 200)}
	}
	b.ReportAllocs()
	for b.Loop() {
		once(ranges)
	}
	for _, a := range actors {
		a.Go(1)
		a.Go(2)
		a.End()
	}
}

func BenchmarkScan(b *testing.B) {
	once := func(r []threads.Range) { scan(b, r) }
	b.Run("idle", func(b *testing.B) { benchmark(b, 0, 0, once) })
	b.Run("8-asleep", func(b *testing.B) { benchmark(b, 8, threadstest.Read, once) })
	b.Run("4-busy", func(b *testing.B) { benchmark(b, 4, threadstest.Spin, once) })
}

func BenchmarkStop(b *testing.B) {
	once := func(r []threads.Range) {
		if done, h, err := threads.Stop(r, nil, limit); !done || err != nil {
			b.Fatal(h, err)
		}
	}
	b.Run("idle", func(b *testing.B) { benchmark(b, 0, 0, once) })
	b.Run("8-asleep", func(b *testing.B) { benchmark(b, 8, threadstest.Read, once) })
	b.Run("4-busy", func(b *testing.B) { benchmark(b, 4, threadstest.Spin, once) })
}
