package llvm

import "fmt"

// TypeKind is the kind of an IR type.
type TypeKind uint8

const (
	Void TypeKind = iota
	Int           // Bits wide
	Half
	BFloat
	Float
	Double
	X86FP80
	FP128
	PPCFP128
	Pointer        // Bits holds the address space
	Vector         // Count elements of Elems[0]
	ScalableVector // at least Count elements of Elems[0]
	Array          // Count elements of Elems[0]
	Struct         // Elems
	PackedStruct   // Elems
	Token
	Metadata
	OtherType // Text says which (opaque struct, target extension type, x86_amx)
)

var typeKindNames = [...]string{
	"void", "int", "half", "bfloat", "float", "double", "x86_fp80", "fp128", "ppc_fp128", "ptr", "vector",
	"scalable vector", "array", "struct", "packed struct", "token", "metadata", "other",
}

func (k TypeKind) String() string {
	if int(k) < len(typeKindNames) {
		return typeKindNames[k]
	}
	return fmt.Sprintf("TypeKind(%d)", uint8(k))
}

// Type is an IR type. Text is its structural form: named structs are written
// out, because LLVM renames them at will, so equal types have equal texts in
// every context. (A structural text of more than 2,000 bytes is cut and ends in a digest.)
type Type struct {
	Kind  TypeKind
	Bits  uint32 // Int: width; Pointer: address space
	Count uint64 // Array, vectors
	Size  uint64 // bytes in memory with padding (alloc size); 0 for unsized types
	Align uint32 // ABI alignment, bytes
	Elems []Type // Struct: fields; Array and vectors: one
	Text  string
}

// ABIAttr is the set of parameter attributes that change how a value is passed.
type ABIAttr uint32

const (
	SRet ABIAttr = 1 << iota
	ByVal
	ByRef
	InAlloca
	Preallocated
	ZeroExt
	SignExt
	InReg
	Nest
	SwiftSelf
	SwiftError
	SwiftAsync
)

// ParamAttr describes one parameter's ABI attributes. Type is the pointee of
// SRet, ByVal, ByRef and InAlloca, its size and alignment included; Align is the
// alignment the attribute list asks for (0: none).
type ParamAttr struct {
	Flags ABIAttr
	Align uint32
	Type  *Type
}

// Signature is a function's type as its callers must know it. Two signatures
// agree iff their Texts are equal (calling convention and ABI attributes included).
type Signature struct {
	Ret         Type
	Params      []Type
	Attrs       []ParamAttr // one for each of Params; nil when no parameter has one
	RetAttrs    ABIAttr     // ZeroExt, SignExt, InReg
	Variadic    bool
	CallingConv uint32 // LLVM's number; 0 is C
	Text        string
}
