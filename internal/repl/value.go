package repl

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"livejit/clang"
)

// Values are cut to this many elements and bytes of text when they are printed.
const (
	maxElements = 32
	maxText     = 400
)

// value prints the value at an address as the layout in s.show says. Memory is read through
// /proc/self/mem: an address that is wrong is an error there, no fault.
func (s *Session) value(address uintptr) string {
	l := s.show
	if l.Kind == "function" {
		return fmt.Sprintf("(%s) %#x", l.Name, address)
	}
	return fmt.Sprintf("(%s) %s", l.Name, s.print(l, uint64(address)))
}

// read returns n bytes of the process's memory, or nil.
func (s *Session) read(address uint64, n int) []byte {
	b := make([]byte, n)
	if int64(address) < 0 || n < 0 {
		return nil
	}
	if _, err := s.memory.ReadAt(b, int64(address)); err != nil {
		return nil
	}
	return b
}

// print prints what lies at an address without its type.
func (s *Session) print(l *clang.Layout, address uint64) string {
	switch l.Kind {
	case "array":
		return s.array(l, address)
	case "struct", "union":
		if text, ok := s.standardString(l, address); ok {
			return text
		}
		return s.members(l, address)
	case "function", "incomplete", "deep", "void":
		return "..."
	}
	b := s.read(address, l.Size)
	if b == nil {
		return fmt.Sprintf("<cannot read %#x>", address)
	}
	return s.scalar(l, b)
}

// scalar prints a value that is not made of others. b holds its bytes, little end first.
func (s *Session) scalar(l *clang.Layout, b []byte) string {
	u := unsigned(b)
	i := signed(b)
	switch l.Kind {
	case "bool":
		return strconv.FormatBool(u != 0)
	case "char":
		if u < 0x80 {
			return strconv.QuoteRune(rune(u))
		}
		return fmt.Sprintf("'\\x%02x'", u)
	case "int":
		if len(b) > 8 {
			return "0x" + hex(b)
		}
		return strconv.FormatInt(i, 10)
	case "unsigned":
		if len(b) > 8 {
			return "0x" + hex(b)
		}
		return strconv.FormatUint(u, 10)
	case "float":
		return float(b)
	case "enum":
		number := i
		if !l.Signed && len(b) < 8 {
			number = int64(u)
		}
		for _, e := range l.Enumerators {
			if e.Value == number {
				return e.Name
			}
		}
		return strconv.FormatInt(number, 10)
	case "string":
		if u == 0 {
			return "NULL"
		}
		return s.text(u)
	case "pointer", "function pointer":
		if u == 0 {
			return "NULL"
		}
		if name := s.functionAt(u); name != "" {
			return fmt.Sprintf("%#x <%s>", u, name)
		}
		return fmt.Sprintf("%#x", u)
	}
	return "0x" + hex(b)
}

// functionAt is the name of the function of the program whose address it is.
func (s *Session) functionAt(address uint64) string {
	for _, i := range s.program.items {
		if i.kind == function && i.defined {
			if f := s.engine.Function(i.symbol); f != nil && uint64(f.Addr()) == address {
				return i.name
			}
		}
	}
	return ""
}

func unsigned(b []byte) uint64 {
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}

func signed(b []byte) int64 {
	shift := 64 - 8*min(len(b), 8)
	return int64(unsigned(b)<<shift) >> shift
}

func hex(b []byte) string {
	var t strings.Builder
	for n := len(b) - 1; n >= 0; n-- {
		fmt.Fprintf(&t, "%02x", b[n])
	}
	return t.String()
}

// float prints binary16, binary32, binary64 or the x87's 80 bits, with as many digits as tell
// it from its neighbours.
func float(b []byte) string {
	bits := 64
	var f float64
	switch len(b) {
	case 4:
		bits, f = 32, float64(math.Float32frombits(uint32(unsigned(b))))
	case 8:
		f = math.Float64frombits(unsigned(b))
	case 16:
		exponent := int(binary.LittleEndian.Uint16(b[8:10]))
		f = math.Ldexp(float64(binary.LittleEndian.Uint64(b)), exponent&0x7fff-16383-63)
		if exponent&0x8000 != 0 {
			f = -f
		}
	default:
		return "0x" + hex(b)
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(text, ".eIN") {
		text += ".0"
	}
	return text
}

// text prints the string at an address.
func (s *Session) text(address uint64) string {
	var b []byte
	for len(b) < maxText {
		c := s.read(address+uint64(len(b)), 1)
		if c == nil {
			if len(b) == 0 {
				return fmt.Sprintf("%#x <cannot be read>", address)
			}
			break
		}
		if c[0] == 0 {
			return quote(b)
		}
		b = append(b, c[0])
	}
	return quote(b) + "..."
}

// quote writes bytes as a C string.
func quote(b []byte) string { return strconv.Quote(string(b)) }

func (s *Session) array(l *clang.Layout, address uint64) string {
	if l.Element.Kind == "char" {
		b := s.read(address, min(l.Count, maxText))
		if b != nil {
			if n := strings.IndexByte(string(b), 0); n >= 0 {
				return quote(b[:n])
			}
			return quote(b)
		}
	}
	var list []string
	for n := range min(l.Count, maxElements) {
		list = append(list, s.print(l.Element, address+uint64(n*l.Element.Size)))
	}
	if l.Count > maxElements {
		list = append(list, "...")
	}
	return "{" + strings.Join(list, ", ") + "}"
}

func (s *Session) members(l *clang.Layout, address uint64) string {
	var list []string
	for _, f := range l.Fields {
		var text string
		if f.Bits > 0 {
			text = s.bitField(f, address)
		} else {
			text = s.print(f.Type, address+uint64(f.Offset/8))
		}
		if f.Name != "" {
			text = f.Name + " = " + text
		}
		list = append(list, text)
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// bitField prints a field that begins and ends within bytes.
func (s *Session) bitField(f clang.Field, address uint64) string {
	first, last := f.Offset/8, (f.Offset+f.Bits-1)/8
	b := s.read(address+uint64(first), last-first+1)
	if b == nil {
		return "?"
	}
	u := unsigned(b) >> (f.Offset % 8) << (64 - f.Bits)
	if f.Type.Kind == "int" || f.Type.Kind == "enum" && f.Type.Signed {
		return s.scalar(f.Type, binary.LittleEndian.AppendUint64(nil, uint64(int64(u)>>(64-f.Bits)))[:f.Type.Size])
	}
	return s.scalar(f.Type, binary.LittleEndian.AppendUint64(nil, u>>(64-f.Bits))[:f.Type.Size])
}

// standardString prints a std::string of libstdc++: a pointer and a length.
func (s *Session) standardString(l *clang.Layout, address uint64) (string, bool) {
	if !strings.HasPrefix(l.Name, "std::string") && !strings.HasPrefix(l.Name, "std::basic_string<char") && !strings.HasPrefix(l.Name, "string") && !strings.HasPrefix(l.Name, "basic_string<char") || len(l.Fields) != 3 || l.Size != 32 {
		return "", false
	}
	b := s.read(address, 16)
	if b == nil {
		return "", false
	}
	n := binary.LittleEndian.Uint64(b[8:])
	text := s.read(binary.LittleEndian.Uint64(b), int(min(n, maxText)))
	if text == nil {
		return "", false
	}
	if n > maxText {
		return quote(text) + "...", true
	}
	return quote(text), true
}
