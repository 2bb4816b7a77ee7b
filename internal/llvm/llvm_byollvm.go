//go:build byollvm

package llvm

// The caller brings LLVM 22: CGO_CXXFLAGS names its headers and CGO_LDFLAGS its
// library, for example
//
//	CGO_CXXFLAGS="$(llvm-config --cppflags)" CGO_LDFLAGS="$(llvm-config --ldflags --libs --system-libs)" go build -tags byollvm
