package livejit

import "github.com/ianlancetaylor/demangle"

// Demangle returns a C++ (or Rust) name as it stands in the source, "c::m(int)" for
// "_ZN1c1mEi", and every other name as it is. Texts for people show names so; fields and
// arguments of this package hold them as the linker knows them.
func Demangle(name string) string { return demangle.Filter(name, demangle.LLVMStyle) }
