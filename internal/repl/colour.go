package repl

import (
	"slices"
	"strings"
)

// keywords of C and C++ that are worth completing and colouring.
var keywords = []string{
	"auto", "bool", "break", "case", "char", "class", "const", "constexpr", "continue", "default", "do", "double", "else", "enum", "extern",
	"false", "float", "for", "goto", "if", "inline", "int", "long", "namespace", "new", "noexcept", "nullptr", "operator", "private", "public",
	"register", "return", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this", "throw", "true", "try", "typedef",
	"typename", "union", "unsigned", "using", "virtual", "void", "volatile", "while",
}

// Colours of a terminal (ECMA-48, SGR).
const (
	plain   = "\x1b[0m"
	keyword = "\x1b[1;34m"
	number  = "\x1b[36m"
	literal = "\x1b[32m"
	special = "\x1b[35m"
)

// painter colours a line while it is typed.
type painter struct{ lang language }

// Paint returns the line with colours; its visible text is the same.
func (p painter) Paint(line []rune, _ int) []rune {
	text := string(line)
	if start := strings.TrimLeft(text, " "); strings.HasPrefix(start, ":") || strings.HasPrefix(start, "#") {
		n := len(text) - len(start) + 1
		for n < len(text) && text[n] != ' ' {
			n++
		}
		return []rune(special + text[:n] + plain + text[n:])
	}
	tokens, _ := p.lang.scan(text)
	var b strings.Builder
	at := 0
	for _, t := range tokens {
		colour := ""
		switch c := t.text[0]; {
		case slices.Contains(p.lang.words(), t.text):
			colour = keyword
		case c == '"' || c == '\'':
			colour = literal
		case c >= '0' && c <= '9':
			colour = number
		default:
			continue
		}
		b.WriteString(text[at:t.begin] + colour + t.text + plain)
		at = t.end()
	}
	b.WriteString(text[at:])
	return []rune(b.String())
}
