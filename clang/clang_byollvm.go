//go:build byollvm

package clang

// The caller brings LLVM 22 with clang, as shared libraries: CGO_CXXFLAGS names
// the headers of both, CGO_LDFLAGS libLLVM, and in the environment
// LIVEJIT_CLANG_LIBRARY names libclang-cpp, which must be linked to that libLLVM.
