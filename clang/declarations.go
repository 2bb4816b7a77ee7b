package clang

import (
	"encoding/json"
	"fmt"
)

// Declaration is one declaration at file scope that stands in the source itself, not in a
// header.
type Declaration struct {
	// Kind is "function", "variable", "type" (struct, union, class, enum), "typedef",
	// "method" (a member that is defined outside of its class), "empty" (a semicolon), or
	// "other".
	Kind string `json:"kind"`
	// Class is clang's name for the kind of an "other" declaration: Namespace,
	// FunctionTemplate, LinkageSpec ...
	Class string `json:"class"`
	// Name as it is used, with its namespaces; empty for a type without a name.
	Name string `json:"name"`
	// Tag is "struct", "union", "class" or "enum" for a type.
	Tag string `json:"tag"`
	// Names are those of an enum's enumerators.
	Names []string `json:"names"`
	// Type is the type of a function or variable as C writes it, Declaration that type with
	// the name: "int a[3]" for the variable a.
	Type        string `json:"type"`
	Declaration string `json:"declaration"`
	// Symbol is the linker's name of a function or variable.
	Symbol string `json:"symbol"`
	// Definition says that it defines what it declares.
	Definition bool `json:"definition"`
	// Constant says that every source that uses it needs its definition: a constexpr
	// function, a constant of C++.
	Constant bool `json:"constant"`
	// Prototype says that a function's parameters are declared.
	Prototype bool `json:"prototype"`
	// Thread says that each thread has the variable for itself.
	Thread bool `json:"thread"`
	// Range is the bytes [begin, end) of the source it takes, without a semicolon; that of a
	// variable begins with the type, which it may share with others. Init is the range of a
	// variable's initialiser or a function's body; zero if there is none.
	Range [2]int `json:"range"`
	Init  [2]int `json:"init"`
	// Layout says how values look in memory: of a variable, of a type that is defined, of
	// what a typedef names.
	Layout *Layout `json:"layout"`
}

// Layout says how a value of a type looks in memory.
type Layout struct {
	// Kind is "bool", "char", "int", "unsigned", "float", "enum", "pointer", "string" (a
	// pointer to characters), "function pointer", "array", "struct", "union", "void",
	// "function", "incomplete", "deep" (nested deeper than is told) or "bytes".
	Kind string `json:"kind"`
	Name string `json:"name"` // as C writes it
	Size int    `json:"size"` // bytes
	// Count is the number of an array's elements, Element the type of one; of a pointer that
	// which it points to, where that is told.
	Count   int     `json:"count"`
	Element *Layout `json:"element"`
	// Fields are those of a struct, union or class, base classes (without a name) first.
	Fields []Field `json:"fields"`
	// Enumerators are those of an enum; Signed its sign.
	Enumerators []Enumerator `json:"enumerators"`
	Signed      bool         `json:"signed"`
}

// Field is a member of a record. Offset is in bits, and so is Bits, which is not zero for
// a bit-field.
type Field struct {
	Name   string  `json:"name"`
	Offset int     `json:"offset"`
	Bits   int     `json:"bits"`
	Type   *Layout `json:"type"`
}

// Enumerator is a constant of an enum.
type Enumerator struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

func readDeclarations(name string, text []byte) ([]Declaration, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var list []Declaration
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: declarations: %w", name, err)
	}
	return list, nil
}
