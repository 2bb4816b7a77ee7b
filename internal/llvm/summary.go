package llvm

import (
	"slices"
	"strings"
)

// GlobalKind is what a global value is.
type GlobalKind uint8

const (
	Function GlobalKind = iota
	Variable
	Alias
	IFunc
)

func (k GlobalKind) String() string {
	return [...]string{"function", "variable", "alias", "ifunc"}[k&3]
}

// Linkage as in LLVM's language reference, in its order.
type Linkage uint8

const (
	External Linkage = iota
	AvailableExternally
	LinkOnceAny
	LinkOnceODR
	WeakAny
	WeakODR
	Appending
	Internal
	Private
	ExternalWeak
	Common
)

var linkageNames = [...]string{"external", "available_externally", "linkonce", "linkonce_odr", "weak", "weak_odr",
	"appending", "internal", "private", "extern_weak", "common"}

func (l Linkage) String() string {
	if int(l) < len(linkageNames) {
		return linkageNames[l]
	}
	return "linkage?"
}

// Visibility of a symbol.
type Visibility uint8

const (
	DefaultVisibility Visibility = iota
	Hidden
	Protected
)

// Init is a constructor or destructor: LLVM runs those of a lower priority first, constructors of the
// same in the order of the list, destructors the other way round.
type Init struct {
	Function string
	Priority int // 65535 if the source gave none
}

// PrepareOptions of Module.Prepare.
type PrepareOptions struct {
	// StaticSuffix is appended to the names of local functions and variables
	// (those that become visible to the linker); "" leaves the names alone,
	// which are unique in a module.
	StaticSuffix string
}

// Summary lists the global values of a prepared module. Intrinsics, LLVM's own
// variables (llvm.used, llvm.global_ctors) and constants that stay private
// to the functions using them are not in it.
type Summary struct {
	Functions []Global // in module order
	Variables []Global
	Aliases   []Global
	IFuncs    []Global
	ModuleAsm bool   // the module has module-level assembly
	Ctors     []Init // entries of llvm.global_ctors, in their order
	Dtors     []Init // entries of llvm.global_dtors, in their order

	// Layouts of the named aggregates that variables are made of, by what a C programmer calls them: "struct state",
	// "union u", "enum e", "class ns::T", or the typedef of an aggregate without a tag. nil without debug info.
	Layouts map[string]Layout
}

// Global describes one global value. Linkage and Visibility are those the front
// end gave, before Prepare changed them.
type Global struct {
	Name         string // symbol name in the object
	Kind         GlobalKind
	Linkage      Linkage
	Visibility   Visibility
	Local        bool // was internal, private or unnamed: its key is (module, Name)
	Defined      bool // has a body or initialiser here that Emit will put out
	ThreadLocal  bool
	Constant     bool       // variable: constant
	AlwaysInline bool       // always_inline; a helper that only lives inside its users is !Defined
	UnnamedAddr  bool       // its address is not significant
	Collected    bool       // function with a body: its garbage collector is one for statepoints
	Comdat       string     // name of its comdat, "" for none
	Section      string     // explicit section, "" for none
	Aliasee      string     // alias: name of the object it stands for; ifunc: its resolver
	AliaseeOff   int64      // alias: bytes into Aliasee
	Type         string     // structural text: value type of a variable or alias, function type
	Size         uint64     // variable: bytes; 0 otherwise
	Align        uint32     // explicit alignment, bytes; 0: none
	Signature    *Signature // functions, ifuncs, and aliases of functions; shared between equal ones: read only

	// Code is the fingerprint of what Emit makes of a defined global, with what it takes from others: of two
	// modules prepared in this process, globals with equal Code are compiled to the same code (or initialised data) by
	// pipelines with equal options. It does not depend on the global's own name and linkage, on names of local values, on
	// debug info, nor on the order of the module's globals. Zero if not Defined. See fingerprint.h for what enters.
	Code [16]byte
	// Init is the part of a variable's Code that is its initialiser; zero for all else.
	Init [16]byte
	// Lines is the fingerprint of a function's debug info: locations and records of variables. 0 without.
	Lines uint64
	// DebugType is the type of a variable as the source declares it, typedefs and qualifiers taken away
	// ("struct state *[4]"); "" without debug info.
	DebugType string
	// Aggregates lists the keys of Summary.Layouts that DebugType leads to through members, bases, elements and
	// pointers; sorted, shared between variables: read only.
	Aggregates []string
}

// Clone returns a copy that does not keep the memory of the summary it comes from, whose strings
// are parts of one.
func (g *Global) Clone() *Global {
	c := *g
	for _, s := range [...]*string{&c.Name, &c.Comdat, &c.Section, &c.Aliasee, &c.Type, &c.DebugType} {
		*s = strings.Clone(*s)
	}
	c.Aggregates = slices.Clone(g.Aggregates)
	for i := range c.Aggregates {
		c.Aggregates[i] = strings.Clone(c.Aggregates[i])
	}
	c.Signature = nil
	return &c
}
