package repl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// This file takes LLVM assembly apart (LLVM Language Reference, "High Level Structure") as far as
// the prompt has to know it: which definitions text consists of, which names they use, and what
// another module needs to declare them. LLVM's own parser decides what is right.

// sigils begin the names of global values, types and local values, comdats, metadata, attribute
// groups and summaries.
const sigils = "@%$!#^"

// scanAssembly takes text apart into names with their sigils, words, numbers, strings, and single
// characters. open says what has to be closed before it can be understood.
func scanAssembly(text string) (tokens []token, open string) {
	var brackets []byte
	wrong := false
	for i := 0; i < len(text); {
		c, begin := text[i], i
		switch {
		case c == ';':
			i = lineEnd(text, i)
			continue
		case c <= ' ':
			i++
			continue
		case c == '"':
			i = stringEnd(text, i)
		case strings.IndexByte(sigils, c) >= 0 && i+1 < len(text) && text[i+1] == '"' && c != '!':
			i = stringEnd(text, i+1)
		case strings.IndexByte(sigils, c) >= 0 && i+1 < len(text) && (nameByte(text[i+1]) || text[i+1] == '\\'):
			for i++; i < len(text) && (nameByte(text[i]) || text[i] == '\\'); i++ {
			}
		case nameByte(c):
			for i < len(text) && nameByte(text[i]) {
				i++
			}
		default:
			i++
			if n := len(brackets); closingBracket(c) {
				wrong = wrong || n == 0 || brackets[n-1] != c
				brackets = brackets[:max(n-1, 0)]
			}
			tokens = append(tokens, token{text[begin:i], begin, len(brackets)})
			if n := strings.IndexByte("([{<", c); n >= 0 {
				brackets = append(brackets, ")]}>"[n])
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

func closingBracket(c byte) bool { return strings.IndexByte(")]}>", c) >= 0 }

// nameByte says whether c may stand in a name or number.
func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-$._", c) >= 0 || c >= utf8.RuneSelf
}

// stringEnd is the end of the string whose quote is at i: a quote inside of it is written \22.
func stringEnd(text string, i int) int {
	for i++; i < len(text) && text[i] != '"' && text[i] != '\n'; i++ {
	}
	return min(i+1, len(text))
}

// sigil returns the first character of a name, 0 of another token.
func (t token) sigil() byte {
	if len(t.text) > 1 && strings.IndexByte(sigils, t.text[0]) >= 0 {
		return t.text[0]
	}
	return 0
}

// unquoted is a name without its sigil and quotes.
func unquoted(name string) string { return strings.Trim(name[1:], `"`) }

// canonical is a name without quotes, with its sigil.
func canonical(name string) string { return name[:1] + unquoted(name) }

// assemblyNames returns the names of text, each once.
func assemblyNames(text string) []string {
	tokens, _ := scanAssembly(text)
	var names []string
	seen := map[string]bool{}
	for _, t := range tokens {
		if t.sigil() != 0 && !seen[canonical(t.text)] {
			seen[canonical(t.text)] = true
			names = append(names, canonical(t.text))
		}
	}
	return names
}

// entity is one definition at the top of a module; or instructions, which a module has not there.
type entity struct {
	word   string  // "define", "declare", "global", "alias", "type", "attributes", "metadata", "comdat", "" for instructions, or another first word
	name   string  // with its sigil; "" for those without
	tokens []token // positions are in the text that was cut
	text   string
	begin  int
}

// entities cuts text into its definitions.
func entities(text string) []entity {
	tokens, _ := scanAssembly(text)
	var list []entity
	for i := 0; i < len(tokens); {
		e := entity{word: beginning(tokens, i), begin: tokens[i].begin}
		end := i + 1
		for end < len(tokens) && (tokens[end].depth > 0 || beginning(tokens, end) == "") {
			end++
		}
		if e.word == "define" {
			end = min(end, bodyEnd(tokens, i))
		}
		e.tokens = tokens[i:end]
		switch e.word {
		case "define", "declare":
			if n := e.function(); n >= 0 {
				e.name = canonical(e.tokens[n].text)
			}
		case "global", "alias", "type", "metadata", "comdat":
			e.name = canonical(tokens[i].text)
		case "attributes":
			if len(e.tokens) > 1 && e.tokens[1].sigil() == '#' {
				e.name = e.tokens[1].text
			}
		}
		e.text = text[e.begin:tokens[end-1].end()]
		list = append(list, e)
		i = end
	}
	return list
}

// beginning says what begins at a token, "" if no definition does.
func beginning(tokens []token, i int) string {
	t := tokens[i]
	next := func(n int) string {
		if i+n < len(tokens) {
			return tokens[i+n].text
		}
		return ""
	}
	switch t.sigil() {
	case '@':
		if next(1) != "=" {
			return ""
		}
		for n := i + 2; n < len(tokens) && tokens[n].sigil() == 0; n++ {
			switch tokens[n].text {
			case "alias", "ifunc":
				return "alias"
			case "global", "constant":
				return "global"
			}
		}
		return "global"
	case '%':
		if next(1) == "=" && next(2) == "type" {
			return "type"
		}
	case '!':
		if next(1) == "=" {
			return "metadata"
		}
	case '$':
		if next(1) == "=" {
			return "comdat"
		}
	case '^':
		return "summary"
	}
	switch t.text {
	case "define", "declare", "source_filename", "attributes", "uselistorder", "uselistorder_bb":
		return t.text
	case "target":
		if next(1) == "triple" || next(1) == "datalayout" {
			return t.text
		}
	case "module":
		if next(1) == "asm" {
			return t.text
		}
	}
	return ""
}

// bodyEnd is the token behind the body of the function that is defined at token i.
func bodyEnd(tokens []token, i int) int {
	e := entity{tokens: tokens[i:]}
	n := e.function()
	if n < 0 {
		return len(tokens)
	}
	body := false
	for n += i; n < len(tokens); n++ {
		if tokens[n].depth > tokens[i].depth {
			continue
		}
		switch tokens[n].text {
		case "{":
			body = true
		case "}":
			if body {
				return n + 1
			}
		}
	}
	return len(tokens)
}

// function is the place of the name of a function: the first global name that a parenthesis follows.
func (e entity) function() int {
	for n, t := range e.tokens {
		if t.depth == e.tokens[0].depth && t.sigil() == '@' && n+1 < len(e.tokens) && e.tokens[n+1].text == "(" {
			return n
		}
	}
	return -1
}

// groupEnd is the place behind the bracket that closes the one at n.
func groupEnd(tokens []token, n int) int {
	for i := n + 1; i < len(tokens); i++ {
		if tokens[i].depth == tokens[n].depth && len(tokens[i].text) == 1 && closingBracket(tokens[i].text[0]) {
			return i + 1
		}
	}
	return len(tokens)
}

// source is the text of tokens with single spaces where there was space.
func source(tokens []token) string {
	var b strings.Builder
	for n, t := range tokens {
		if n > 0 && tokens[n-1].end() < t.begin {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// typeAt returns the type that begins at a token, and the place behind it. Pointers are opaque, so
// a type is one word, one name or one group, with its address space.
func typeAt(tokens []token, n int) (string, int) {
	end := n + 1
	if n < len(tokens) && strings.Contains("[{<", tokens[n].text) {
		end = groupEnd(tokens, n)
	}
	for _, word := range []string{"target", "ptr", "addrspace"} { // target("x"), ptr addrspace(1)
		if end < len(tokens) && (tokens[end-1].text == word && tokens[end].text == "(" || word == "addrspace" && tokens[end].text == word) {
			if tokens[end].text == word {
				end++
			}
			if end < len(tokens) {
				end = groupEnd(tokens, end)
			}
		}
	}
	end = min(end, len(tokens))
	return source(tokens[min(n, end):end]), end
}

// parameters returns the types of a list of parameters or arguments, whose parenthesis is at n,
// and the place behind it.
func parameters(tokens []token, n int) (string, int) {
	end := groupEnd(tokens, n)
	var types []string
	for at := n + 1; at < end-1; {
		text := "..."
		if tokens[at].text != text {
			text, _ = typeAt(tokens, at)
		}
		types = append(types, text)
		for at < end-1 && !(tokens[at].text == "," && tokens[at].depth == tokens[n].depth+1) {
			at++
		}
		at++
	}
	return strings.Join(types, ", "), end
}

// typeBefore returns the type that ends in front of a token.
func typeBefore(tokens []token, n int) string {
	if n == 0 {
		return ""
	}
	begin := n - 1
	if t := tokens[begin]; len(t.text) == 1 && closingBracket(t.text[0]) {
		for begin > 0 && !(tokens[begin].depth == t.depth && strings.Contains("([{<", tokens[begin].text)) {
			begin--
		}
		if tokens[begin].text == "(" && begin > 1 && tokens[begin-1].text == "addrspace" {
			begin -= 2
		}
	}
	return source(tokens[begin:n])
}

// called is the declaration of the function called name, as text calls it; "" if it does not.
func called(text, name string) string {
	tokens, _ := scanAssembly(text)
	for n, t := range tokens {
		if t.sigil() != '@' || canonical(t.text) != name || n+1 >= len(tokens) || tokens[n+1].text != "(" || n == 0 {
			continue
		}
		params, _ := parameters(tokens, n+1)
		result := typeBefore(tokens, n)
		if tokens[n-1].text == ")" && !strings.HasPrefix(result, "ptr") { // the type of the function: i32 (ptr, ...)
			open := n - 1
			for open > 0 && !(tokens[open].text == "(" && tokens[open].depth == tokens[n-1].depth) {
				open--
			}
			params, _ = parameters(tokens, open)
			result = typeBefore(tokens, open)
		}
		if result != "" && result != "," && result != "(" {
			return "declare " + result + " " + t.text + "(" + params + ")"
		}
	}
	return ""
}

// local is what says of a definition that others do not see it, or see it in another way than they see others.
var local = []string{
	"private", "internal", "available_externally", "linkonce", "weak", "common", "linkonce_odr", "weak_odr", "external",
	"dso_local", "dso_preemptable", "default", "hidden", "protected", "dllimport", "dllexport",
}

// exported drops from the words in front of the n-th token what would keep a definition to its own module, and
// from the rest its comdat.
func (e entity) exported(n int) []token {
	var kept []token
	for i := 0; i < len(e.tokens); i++ {
		t := e.tokens[i]
		if t.depth == e.tokens[0].depth {
			if i < n && slices.Contains(local, t.text) {
				continue
			}
			if t.text == "comdat" {
				if i+1 < len(e.tokens) && e.tokens[i+1].text == "(" {
					i = groupEnd(e.tokens, i+1) - 1
				}
				if len(kept) > 0 && kept[len(kept)-1].text == "," {
					kept = kept[:len(kept)-1]
				}
				continue
			}
		}
		kept = append(kept, t)
	}
	return kept
}

// rewrite makes e consist of the tokens that are kept, which may have other texts.
func (e *entity) rewrite(kept []token) {
	e.text = e.rewritten(kept)
	e.tokens, _ = scanAssembly(e.text)
	e.begin = 0
}

// rewritten is the text of e with only the kept of its tokens; comments and lines are as they were.
func (e entity) rewritten(kept []token) string {
	var b strings.Builder
	at := e.begin
	for _, t := range e.tokens {
		keep := len(kept) > 0 && kept[0].begin == t.begin
		gap := e.text[at-e.begin : t.begin-e.begin]
		if keep {
			b.WriteString(gap)
			b.WriteString(kept[0].text)
			kept = kept[1:]
		} else if strings.Contains(gap, "\n") {
			b.WriteString(gap)
		}
		at = t.end()
	}
	return strings.TrimSpace(b.String())
}

// withoutDebug drops debug information: attachments, records, and what stands in front of them.
func withoutDebug(tokens []token) []token {
	var kept []token
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t.text == "!dbg" && i+1 < len(tokens):
			if len(kept) > 0 && kept[len(kept)-1].text == "," {
				kept = kept[:len(kept)-1]
			}
			i++
		case strings.HasPrefix(t.text, "#dbg_") && i+1 < len(tokens):
			i = groupEnd(tokens, i+1) - 1
		default:
			kept = append(kept, t)
		}
	}
	return kept
}
