// Package barecgo is what calls are compared with: cgo with nothing around it.
package barecgo

// static long sum(long a, long b) { return a + b; }
// extern long livejitBenchHost(long n);
// static long back(long n) { long i = 0; while (i < n) i = livejitBenchHost(i); return i; }
import "C"

//export livejitBenchHost
func livejitBenchHost(n C.long) C.long { return n + 1 }

// Sum calls a C function that adds.
func Sum(a, b int64) int64 { return int64(C.sum(C.long(a), C.long(b))) }

// Back calls a C function that calls a Go function n times.
func Back(n int64) int64 { return int64(C.back(C.long(n))) }
