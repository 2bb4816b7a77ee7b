package llvm

import (
	"encoding/binary"
)

// reader reads the buffers of the shim. Strings are parts of one copy of the
// buffer. The C++ side is trusted: a short buffer is a bug.
type reader struct {
	b []byte
	s string
	p int
}

func newReader(b []byte) *reader {

	return &reader{b: b, s: string(b)}
}

func (r *reader) u32() uint32 {
	v := binary.NativeEndian.Uint32(r.b[r.p:])
	r.p += 4
	return v
}

func (r *reader) u64() uint64 {
	v := binary.NativeEndian.Uint64(r.b[r.p:])
	r.p += 8
	return v
}

func (r *reader) copy(to []byte) { r.p += copy(to, r.b[r.p:]) }

func (r *reader) str() string {
	n := int(r.u32())
	v := r.s[r.p : r.p+n]
	r.p += n
	return v
}

func decodeDiagnostics(b []byte) []Diagnostic {
	r := newReader(b)
	ds := make([]Diagnostic, r.u32())
	for i := range ds {
		d := &ds[i]
		d.Severity = Severity(r.u32())
		d.Line, d.Column = int(r.u32()), int(r.u32())
		d.File, d.Message, d.SourceLine = r.str(), r.str(), r.str()
	}
	return ds
}
