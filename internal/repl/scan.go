package repl

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a piece of C text that this package tells apart: an identifier, a number, a
// character or string literal, or one character of punctuation. Comments and space are none.
type token struct {
	text  string
	begin int // byte offset
	depth int // of parentheses, brackets and braces around it
}

func (t token) end() int { return t.begin + len(t.text) }

// word says whether t is an identifier or keyword.
func (t token) word() bool { return isLetter(rune(t.text[0])) || t.text[0] >= utf8.RuneSelf }

func isLetter(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) }

// scan takes text apart. open says why more lines have to follow before it can be
// understood: "" if nothing is open, else the bracket, "*/" or what else is missing.
func scan(text string) (tokens []token, open string) {
	var brackets []byte
	wrong := false // more lines make nothing better
	for i := 0; i < len(text); {
		c := text[i]
		begin := i
		switch {
		case strings.HasPrefix(text[i:], "//"):
			i = lineEnd(text, i)
			continue
		case strings.HasPrefix(text[i:], "/*"):
			n := strings.Index(text[i+2:], "*/")
			if n < 0 {
				return tokens, "*/"
			}
			i += n + 4
			continue
		case c == '\\' && (i+1 == len(text) || text[i+1:] == "\n"):
			return tokens, "\\"
		case c == '"' || c == '\'':
			if raw, end := rawString(tokens, text, i); raw {
				if end < 0 {
					return tokens, `"`
				}
				i = end
				break
			}
			for i++; i < len(text) && text[i] != c && text[i] != '\n'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			i = min(i+1, len(text))
		case isLetter(rune(c)) || c >= utf8.RuneSelf:
			i = wordEnd(text, i)
		case c >= '0' && c <= '9':
			i = numberEnd(text, i)
		case c <= ' ':
			i++
			continue
		default:
			i++
			if n := len(brackets); c == ')' || c == ']' || c == '}' {
				wrong = wrong || n == 0 || closing[brackets[n-1]] != c
				brackets = brackets[:max(n-1, 0)]
			}
			tokens = append(tokens, token{text[begin:i], begin, len(brackets)})
			if c == '(' || c == '[' || c == '{' {
				brackets = append(brackets, c)
			}
			continue
		}
		tokens = append(tokens, token{text[begin:i], begin, len(brackets)})
	}
	if n := len(brackets); n > 0 && !wrong {
		return tokens, string(brackets[n-1])
	}
	return tokens, ""
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func lineEnd(text string, i int) int {
	if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

func wordEnd(text string, i int) int {
	for i < len(text) {
		r, n := utf8.DecodeRuneInString(text[i:])
		if !isLetter(r) && !unicode.IsDigit(r) {
			break
		}
		i += n
	}
	return i
}

// numberEnd is the end of a preprocessing number (C11 6.4.8): digits, letters, ., ', and
// signs behind an exponent.
func numberEnd(text string, i int) int {
	for i < len(text) {
		c := text[i]
		sign := (c == '+' || c == '-') && strings.ContainsRune("eEpP", rune(text[i-1]))
		if !sign && c != '.' && c != '\'' && !isLetter(rune(c)) && (c < '0' || c > '9') {
			break
		}
		i++
	}
	return i
}

// rawString says whether the quote at i begins a raw string of C++, and where that ends;
// -1 if it does not.
func rawString(tokens []token, text string, i int) (bool, int) {
	if text[i] != '"' || len(tokens) == 0 || tokens[len(tokens)-1].end() != i || !strings.HasSuffix(tokens[len(tokens)-1].text, "R") {
		return false, 0
	}
	prefix := tokens[len(tokens)-1].text
	open := strings.IndexByte(text[i:], '(')
	if open < 0 || !strings.Contains(" R LR uR UR u8R ", " "+prefix+" ") {
		return false, 0
	}
	close := ")" + text[i+1:i+open] + `"`
	n := strings.Index(text[i:], close)
	if n < 0 {
		return true, -1
	}
	return true, i + n + len(close)
}

// identifiers returns the identifiers and keywords of text, each once. Members (behind . and
// ->) are left out.
func identifiers(text string) []string {
	tokens, _ := scan(text)
	var names []string
	seen := make(map[string]bool)
	for i, t := range tokens {
		if !t.word() || seen[t.text] {
			continue
		}
		if i > 0 && (tokens[i-1].text == "." || tokens[i-1].text == ">" && i > 1 && tokens[i-2].text == "-") {
			continue
		}
		seen[t.text] = true
		names = append(names, t.text)
	}
	return names
}

// given returns the names that text seems to give a meaning at file scope. It is a guess
// that saves a try; clang decides.
func given(text string) map[string]bool {
	tokens, _ := scan(text)
	names := make(map[string]bool)
	initialiser := false
	for i, t := range tokens {
		if t.depth > 0 {
			continue
		}
		behind := initialiser
		switch t.text {
		case "=":
			initialiser = true
		case "using":
			initialiser = true // what follows is used; a name before = is given
			continue
		case ":":
			initialiser = i+1 < len(tokens) && tokens[i+1].text != ":" && i > 0 && tokens[i-1].text != ":" // base classes
		case ";", "}", ",":
			initialiser = false
		}
		if i == 0 || !tokens[i-1].word() || tokens[i-1].depth > 0 {
			continue
		}
		if t.text == ":" && i+1 < len(tokens) && tokens[i+1].text == ":" {
			continue // a qualified name
		}
		switch t.text {
		case "=", ";", ",", "(", "[", "{", ":":
			if !behind || t.text == "=" && i > 1 && tokens[i-2].text == "using" {
				names[tokens[i-1].text] = true
			}
		}
	}
	return names
}

// part is a piece of input: directives, or text that is none.
type part struct {
	text      string
	directive bool
}

// parts separates the preprocessor's lines from the rest. Conditionals stay together, with
// all that is between.
func parts(text string) []part {
	var list []part
	var rest, block strings.Builder
	depth := 0
	flush := func() {
		if strings.TrimSpace(rest.String()) != "" {
			list = append(list, part{text: rest.String()})
		}
		rest.Reset()
	}
	continued := false
	for line := range strings.Lines(text) {
		word := directive(line)
		switch {
		case continued:
		case word == "" && depth == 0:
			rest.WriteString(line)
			continue
		default:
			if _, open := scan(rest.String()); depth == 0 && open != "" {
				rest.WriteString(line) // within a function
				continue
			}
			flush()
		}
		block.WriteString(line)
		switch word {
		case "if", "ifdef", "ifndef":
			depth++
		case "endif":
			depth--
		}
		continued = strings.HasSuffix(strings.TrimRight(line, "\n"), "\\")
		if depth <= 0 && !continued {
			list = append(list, part{block.String(), true})
			block.Reset()
			depth = 0
		}
	}
	if block.Len() > 0 {
		list = append(list, part{block.String(), true})
	}
	flush()
	return list
}

// directive returns the word behind the # of a preprocessor's line.
func directive(line string) string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "#") {
		return ""
	}
	line = strings.TrimLeft(line[1:], " \t")
	return line[:wordEnd(line, 0)]
}

// openConditional says whether an #if has no #endif yet.
func openConditional(text string) bool {
	depth := 0
	for line := range strings.Lines(text) {
		switch directive(line) {
		case "if", "ifdef", "ifndef":
			depth++
		case "endif":
			depth--
		}
	}
	return depth > 0
}

// segments cuts text behind its statements and declarations.
func segments(text string) []string {
	tokens, _ := scan(text)
	var list []string
	begin, first := 0, 0
	for i, t := range tokens {
		if t.depth > 0 || t.text != ";" && t.text != "}" {
			continue
		}
		if t.text == "}" && continues(tokens[first:i+1], tokens[i+1:]) {
			continue
		}
		list = append(list, strings.TrimSpace(text[begin:t.end()]))
		begin, first = t.end(), i+1
	}
	if rest := strings.TrimSpace(text[begin:]); rest != "" {
		list = append(list, rest)
	}
	return list
}

// continues says whether what ends with a } goes on behind it.
func continues(segment, next []token) bool {
	if len(next) > 0 {
		switch next[0].text {
		case ";", ",", "=", "else", "catch", ")", ".", "-", "[":
			return true
		case "while":
			return segment[0].text == "do"
		}
	}
	switch segment[0].text {
	case "if", "for", "while", "do", "switch", "{", "namespace":
		return false
	}
	for _, t := range segment {
		switch {
		case t.depth > 0:
		case t.text == "(":
			return false // a function
		case t.text == "=":
			return true // an initialiser
		case t.text == "struct", t.text == "union", t.text == "class", t.text == "enum":
			return len(next) > 0
		}
	}
	return false
}
