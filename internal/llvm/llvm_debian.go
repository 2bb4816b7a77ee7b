//go:build !byollvm

package llvm

// LLVM 22 where Debian's packages (llvm-22-dev, apt.llvm.org) put it. Build
// with the tag byollvm and CGO_CXXFLAGS, CGO_LDFLAGS for another place.

// #cgo CXXFLAGS: -isystem /usr/lib/llvm-22/include
// #cgo LDFLAGS: -L/usr/lib/llvm-22/lib -lLLVM-22
import "C"
