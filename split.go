package livejit

import (
	"context"
	"fmt"

	"livejit/internal/llvm"
)

// FunctionModule is one part of a split module: usually one function. Functions that
// cannot be taken apart (joined by a table of label addresses, by a COMDAT group, or an
// alias with its function) come together. The part without functions holds the variables.
type FunctionModule struct {
	Name      string   // the first function's; "data" for the part with the variables
	Functions []string // what it defines, by the names after splitting
	Bitcode   []byte
}

// Split takes a module of IR text or bitcode apart: one part for each function and one,
// the last, with all variables, constructor lists and module-level assembly. Static
// functions and variables get names that are unique over modules, and hidden visibility;
// constants without identity, such as string literals, go with each function that uses
// them. Linking all parts again gives the same program.
func Split(source Source) ([]FunctionModule, error) {
	return SplitContext(context.Background(), source)
}

// SplitContext is Split under a context, which ends the making of the source and the
// splitting between two functions.
func SplitContext(ctx context.Context, source Source) ([]FunctionModule, error) {
	source, err := source.load(ctx)
	if err != nil {
		return nil, err
	}
	c := llvm.NewContext()
	defer c.Close()
	var m *llvm.Module
	switch source.kind {
	case irText:
		m, err = c.ParseIR(source.name, source.data)
	case bitcode:
		m, err = c.ParseBitcode(source.name, source.data)
	case llvmModule:
		m, err = llvm.Adopt(c, source.ref, source.name)
	default:
		return nil, &FormatError{Source: source.name, Err: fmt.Errorf("%s: only LLVM IR and bitcode can be split", source.name)}
	}
	if err != nil {
		return nil, compileError(source.name, err)
	}
	defer m.Close()

	var parts []FunctionModule
	for part, err := range m.Split(llvm.SplitOptions{}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, compileError(source.name, err)
		}
		code, err := part.Module.Bitcode()
		if err != nil {
			return nil, compileError(source.name, err)
		}
		parts = append(parts, FunctionModule{Name: part.Name, Functions: part.Functions, Bitcode: code})
	}
	return parts, nil
}
