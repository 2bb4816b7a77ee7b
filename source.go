package livejit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"livejit/internal/elfobj"
)

// sourceKind says what a source holds.
type sourceKind uint8

const (
	irText sourceKind = iota + 1
	bitcode
	object
	archive
	llvmModule
	file
	deferred
)

// Source is something that Engine.Add can load: a module as IR text or bitcode, an
// object file, an archive, a module of another LLVM binding, or something that a front
// end makes when it is loaded. Sources are values; the engine never changes their data.
type Source struct {
	name string
	kind sourceKind
	data []byte
	ref  unsafe.Pointer
	make func(context.Context) (Source, error)
}

// Name returns the name that messages and statistics use.
func (s Source) Name() string { return s.name }

// IR is a module as LLVM assembly text (LLVM Language Reference, LLVM 22).
func IR(name, text string) Source {
	return Source{name: name, kind: irText, data: []byte(text)}
}

// Bitcode is a module as LLVM bitcode, of LLVM 22 or older. The slice must not change afterwards.
func Bitcode(name string, data []byte) Source {
	return Source{name: name, kind: bitcode, data: data}
}

// Object is an ELF relocatable object of any compiler. The slice must not change afterwards.
func Object(name string, data []byte) Source {
	return Source{name: name, kind: object, data: data}
}

// Archive is an ar archive of objects or bitcode. Adding it loads nothing by itself: like
// a static linker, the engine loads the members that define what the sources added with
// it, or later ones while its module is open, leave undefined.
func Archive(name string, data []byte) Source {
	return Source{name: name, kind: archive, data: data}
}

// LLVMModule is a module built by another Go binding of the same libLLVM in this process:
// ref is its LLVMModuleRef. The module is copied when it is added and stays the caller's;
// nothing else may use its LLVM context meanwhile.
func LLVMModule(ref unsafe.Pointer) Source {
	return Source{name: "module", kind: llvmModule, ref: ref}
}

// File is a file that is read when it is added. What it holds is told from its content:
// bitcode, an ELF object, an archive or, if its name ends in .ll, IR text.
func File(path string) Source {
	return Source{name: path, kind: file}
}

// Generated is a source that a front end makes when it is added, under the context of
// that call.
func Generated(name string, generate func(ctx context.Context) (Source, error)) Source {
	return Source{name: name, kind: deferred, make: generate}
}

// Generate returns s with its content: a file read, a generated source made. Other sources
// are returned as they are. Add does it by itself; doing it before lets the front end's
// time be told from the load's.
func (s Source) Generate(ctx context.Context) (Source, error) { return s.load(ctx) }

// load returns s with its content in memory.
func (s Source) load(ctx context.Context) (Source, error) {
	if err := ctx.Err(); err != nil {
		return s, err
	}
	switch s.kind {
	case file:
		data, err := os.ReadFile(s.name)
		if err != nil {
			return s, err
		}
		kind, err := contentKind(s.name, data)
		return Source{name: s.name, kind: kind, data: data}, err
	case deferred:
		made, err := s.make(ctx)
		if err != nil {
			return s, err
		}
		if made.kind == deferred {
			return s, fmt.Errorf("%s: a generated source may not be generated again", s.name)
		}
		return made.load(ctx)
	case 0:
		return s, fmt.Errorf("livejit: empty Source")
	}
	return s, nil
}

// contentKind tells from its first bytes what a file holds.
func contentKind(name string, data []byte) (sourceKind, error) {
	switch {
	case isBitcode(data):
		return bitcode, nil
	case elfobj.IsObject(data):
		return object, nil
	case elfobj.IsArchive(data):
		return archive, nil
	case strings.EqualFold(filepath.Ext(name), ".ll"):
		return irText, nil
	}
	return 0, &FormatError{Source: name, Err: fmt.Errorf("%s: neither LLVM IR or bitcode nor an ELF object or archive", name)}
}

// isBitcode looks for the magic numbers of raw and wrapped bitcode (LLVM Bitcode File
// Format, "Magic Numbers" and "Bitcode Wrapper Format").
func isBitcode(data []byte) bool {
	return bytes.HasPrefix(data, []byte("BC\xc0\xde")) || bytes.HasPrefix(data, []byte{0xde, 0xc0, 0x17, 0x0b})
}
