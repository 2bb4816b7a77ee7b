package crt

import (
	"encoding/binary"
	"testing"

	"livejit/internal/crt/internal/crttest"
)

// BenchmarkTLS is the way of JIT code to a thread-local variable, by __tls_get_addr; crossing from Go is in it.
func BenchmarkTLS(b *testing.B) {
	m := newTLS(b, make([]byte, 16), 16, 8)
	defer m.Release()
	index := crttest.Malloc(16)
	binary.NativeEndian.PutUint64(index, m.ID)
	binary.NativeEndian.PutUint64(index[8:], 8)
	fn := getAddr()
	for b.Loop() {
		if call(b, fn, address(index)) == 0 {
			b.Fatal("no address")
		}
	}
}
