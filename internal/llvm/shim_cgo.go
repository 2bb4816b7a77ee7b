package llvm

/*
#cgo CXXFLAGS: -std=c++17 -O2 -g0 -DNDEBUG -fno-exceptions -fno-rtti -D_GNU_SOURCE -D__STDC_CONSTANT_MACROS -D__STDC_FORMAT_MACROS -D__STDC_LIMIT_MACROS -Wall -Wno-unused-parameter
#include <malloc.h>
#include "shim.h"
*/
import "C"

import (
	"time"
	"unsafe"
)

// Every crossing into C++ is in this file. The handles are opaque outside it.
type (
	contextHandle  = *C.lj_ctx
	moduleHandle   = *C.lj_mod
	splitHandle    = *C.lj_split
	pipelineHandle = *C.lj_pipe
	objectHandle   = *C.lj_obj
)

func cstr(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

func cbytes(b []byte) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.size_t(len(b))
}

// takeDiagnostics decodes and frees a result's diagnostics.
func takeDiagnostics(b C.lj_buf) []Diagnostic {
	if b.data == nil {
		return nil
	}
	d := decodeDiagnostics(C.GoBytes(unsafe.Pointer(b.data), C.int(b.size)))
	C.lj_buf_free(b)
	return d
}

// takeBytes copies and frees a result's bytes.
func takeBytes(b C.lj_buf) []byte {
	if b.data == nil {
		return nil
	}
	s := make([]byte, b.size)
	copy(s, unsafe.Slice((*byte)(unsafe.Pointer(b.data)), b.size))
	C.lj_buf_free(b)
	return s
}

// outcome turns a result into its warnings and error; the bytes and the handle are the caller's.
func outcome(module string, r *C.lj_result) ([]Diagnostic, error) {
	d := takeDiagnostics(r.diags)
	if r.kind == C.LJ_OK {
		return d, nil
	}
	if r.bytes.data != nil {
		C.lj_buf_free(r.bytes)
	}
	return nil, &Error{Kind: ErrorKind(r.kind), Module: module, Diagnostics: d}
}

func contextNew() (contextHandle, error) {
	r := C.lj_context_new()
	_, err := outcome("", &r)
	return contextHandle(r.handle), err
}

func contextFree(h contextHandle) { C.lj_context_free(h) }

func parseIR(c contextHandle, name string, text []byte) (moduleHandle, []Diagnostic, error) {
	np, nl := cstr(name)
	tp, tl := cbytes(text)
	r := C.lj_parse_ir(c, np, nl, tp, tl)
	d, err := outcome(name, &r)
	return moduleHandle(r.handle), d, err
}

func parseBitcode(c contextHandle, name string, data []byte, trusted bool) (moduleHandle, []Diagnostic, error) {
	np, nl := cstr(name)
	dp, dl := cbytes(data)
	var t C.int
	if trusted {
		t = 1
	}
	r := C.lj_parse_bitcode(c, np, nl, dp, dl, t)
	d, err := outcome(name, &r)
	return moduleHandle(r.handle), d, err
}

func adopt(c contextHandle, ref unsafe.Pointer, name string) (moduleHandle, []Diagnostic, error) {
	np, nl := cstr(name)
	r := C.lj_adopt(c, ref, np, nl)
	d, err := outcome(name, &r)
	return moduleHandle(r.handle), d, err
}

func moduleRef(h moduleHandle) unsafe.Pointer { return C.lj_module_ref(h) }

func moduleFree(h moduleHandle) { C.lj_module_free(h) }

func moduleVerify(h moduleHandle, name string) error {
	r := C.lj_verify(h)
	_, err := outcome(name, &r)
	return err
}

func moduleBitcode(h moduleHandle, name string) ([]byte, error) {
	r := C.lj_bitcode(h)
	if _, err := outcome(name, &r); err != nil {
		return nil, err
	}
	return takeBytes(r.bytes), nil
}

func moduleText(h moduleHandle, name string) (string, error) {
	r := C.lj_text(h)
	if _, err := outcome(name, &r); err != nil {
		return "", err
	}
	return string(takeBytes(r.bytes)), nil
}

// moduleDebugIR returns the text.
func moduleDebugIR(h moduleHandle, name, directory, file string, optimized bool) (string, error) {
	dp, dl := cstr(directory)
	fp, fl := cstr(file)
	var o C.int
	if optimized {
		o = 1
	}
	r := C.lj_debug_ir(h, dp, dl, fp, fl, o)
	if _, err := outcome(name, &r); err != nil {
		return "", err
	}
	return string(takeBytes(r.bytes)), nil
}

func moduleShowLast(h moduleHandle, name, function, show string) (string, error) {
	fp, fl := cstr(function)
	sp, sl := cstr(show)
	r := C.lj_show_last(h, fp, fl, sp, sl)
	if _, err := outcome(name, &r); err != nil {
		return "", err
	}
	return string(takeBytes(r.bytes)), nil
}

func moduleKeepValues(h moduleHandle, name, function, suffix string) (string, error) {
	fp, fl := cstr(function)
	sp, sl := cstr(suffix)
	r := C.lj_keep_values(h, fp, fl, sp, sl)
	if _, err := outcome(name, &r); err != nil {
		return "", err
	}
	return string(takeBytes(r.bytes)), nil
}

func moduleTriple(h moduleHandle) string {
	r := C.lj_module_triple(h)
	if _, err := outcome("", &r); err != nil {
		return ""
	}
	return string(takeBytes(r.bytes))
}

// modulePrepare returns the serialised summary.
func modulePrepare(h moduleHandle, name, suffix string) ([]byte, error) {
	sp, sl := cstr(suffix)
	r := C.lj_prepare(h, sp, sl)
	if _, err := outcome(name, &r); err != nil {
		return nil, err
	}
	return takeBytes(r.bytes), nil
}

// moduleCut returns the new module and the NUL-separated names of the functions in it.
func moduleCut(h moduleHandle, name string, functions, variables []string) (moduleHandle, string, error) {
	fp, fl := cstr(joinNames(functions))
	vp, vl := cstr(joinNames(variables))
	r := C.lj_cut(h, fp, fl, vp, vl)
	if _, err := outcome(name, &r); err != nil {
		return nil, "", err
	}
	return moduleHandle(r.handle), string(takeBytes(r.bytes)), nil
}

func moduleShare(h moduleHandle, name string, share, shares int) error {
	r := C.lj_share(h, C.uint32_t(share), C.uint32_t(shares))
	_, err := outcome(name, &r)
	return err
}

func splitBegin(h moduleHandle, name, identifier string) (splitHandle, error) {
	ip, il := cstr(identifier)
	r := C.lj_split_begin(h, ip, il)
	if _, err := outcome(name, &r); err != nil {
		return nil, err
	}
	return splitHandle(r.handle), nil
}

func splitNext(s splitHandle, name string) (moduleHandle, string, error) {
	r := C.lj_split_next(s)
	if _, err := outcome(name, &r); err != nil {
		return nil, "", err
	}
	return moduleHandle(r.handle), string(takeBytes(r.bytes)), nil
}

func splitFree(s splitHandle) { C.lj_split_free(s) }

func pipelineNew(o PipelineOptions) (pipelineHandle, error) {
	co := C.lj_pipe_options{opt_level: C.int32_t(o.OptLevel), debug: C.int32_t(o.DebugInfo)}
	if o.OneSection {
		co.one_section = 1
	}
	if o.Statepoints {
		co.statepoints = 1
	}
	// The struct is in Go memory, so the strings it points to must be in C's.
	cpu, features := C.CString(o.CPU), C.CString(o.Features)
	defer C.lj_buf_free(C.lj_buf{data: cpu})
	defer C.lj_buf_free(C.lj_buf{data: features})
	co.cpu, co.cpu_len = cpu, C.size_t(len(o.CPU))
	co.features, co.features_len = features, C.size_t(len(o.Features))
	r := C.lj_pipeline_new(&co)
	_, err := outcome("", &r)
	return pipelineHandle(r.handle), err
}

func pipelineFree(h pipelineHandle) { C.lj_pipeline_free(h) }

func pipelineEmit(p pipelineHandle, m moduleHandle, name string) (*Object, error) {
	var view C.lj_obj_view
	r := C.lj_emit(p, m, &view)
	d, err := outcome(name, &r)
	if err != nil {
		return nil, err
	}
	return &Object{
		h:        objectHandle(r.handle),
		data:     unsafe.Slice((*byte)(unsafe.Pointer(view.data)), int(view.size)),
		Optimize: time.Duration(view.optimize_ns),
		Codegen:  time.Duration(view.codegen_ns),
		Warnings: d,
	}, nil
}

func objectFree(h objectHandle) { C.lj_object_free(h) }

func hostTarget() (string, error) {
	r := C.lj_host_target()
	if _, err := outcome("", &r); err != nil {
		return "", err
	}
	return string(takeBytes(r.bytes)), nil
}

func readStats() Stats {
	var s C.lj_stats
	C.lj_read_stats(&s)
	return Stats{
		Contexts: int64(s.contexts), Modules: int64(s.modules), Pipelines: int64(s.pipelines), Objects: int64(s.objects),
		Fatals: int64(s.fatals), LeakedContexts: int64(s.leaked_contexts), LeakedModules: int64(s.leaked_modules),
		LeakedPipelines: int64(s.leaked_pipelines),
	}
}

func trim() { C.malloc_trim(0) }

// CrashHandler is the address of the C function lj_llvm_crashed (shim.h), for who handles the signals of this process: a crash of LLVM then
// is an *Error of kind Fatal.
func CrashHandler() unsafe.Pointer { return unsafe.Pointer(C.lj_llvm_crashed) }

// Landing is the address of the C function lj_llvm_land (shim.h), with which another user of this
// libLLVM in the process has its fatal errors returned.
func Landing() unsafe.Pointer { return unsafe.Pointer(C.lj_llvm_land) }
