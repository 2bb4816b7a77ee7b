//go:build !byollvm

package clang

// LLVM and clang 22 where Debian's packages (llvm-22-dev, libclang-22-dev) put
// them; see internal/llvm for the tag byollvm.

// #cgo CXXFLAGS: -isystem /usr/lib/llvm-22/include
// #cgo LDFLAGS: -L/usr/lib/llvm-22/lib -lLLVM-22
import "C"
