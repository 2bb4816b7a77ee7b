package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A form is what the reader makes of source text: int64, text (a string), symbol, or list.
type (
	form   any
	text   string
	symbol string
	list   []form
)

// sourceError is a mistake in the program, with its line if it is one of syntax.
type sourceError struct {
	line   int // from 1; 0: unknown
	reason string
}

func (e *sourceError) Error() string {
	if e.line > 0 {
		return fmt.Sprintf("line %d: %s", e.line, e.reason)
	}
	return e.reason
}

func mistake(format string, a ...any) error { return &sourceError{reason: fmt.Sprintf(format, a...)} }

type reader struct {
	src  string
	at   int
	line int
}

// read returns all forms of a program.
func read(src string) ([]form, error) {
	r := &reader{src: src, line: 1}
	var forms []form
	for {
		r.skip()
		if r.at == len(r.src) {
			return forms, nil
		}
		f, err := r.form()
		if err != nil {
			return nil, err
		}
		forms = append(forms, f)
	}
}

func (r *reader) fail(format string, a ...any) error {
	return &sourceError{r.line, fmt.Sprintf(format, a...)}
}

// skip goes over space and comments, which begin with a semicolon.
func (r *reader) skip() {
	for ; r.at < len(r.src); r.at++ {
		switch c := r.src[r.at]; {
		case c == '\n':
			r.line++
		case c == ';':
			for r.at+1 < len(r.src) && r.src[r.at+1] != '\n' {
				r.at++
			}
		case c != ' ' && c != '\t' && c != '\r':
			return
		}
	}
}

func (r *reader) form() (form, error) {
	r.skip()
	if r.at == len(r.src) {
		return nil, r.fail("the program ends inside of a list")
	}
	switch c := r.src[r.at]; c {
	case '(':
		r.at++
		l := list{}
		for {
			r.skip()
			if r.at < len(r.src) && r.src[r.at] == ')' {
				r.at++
				return l, nil
			}
			f, err := r.form()
			if err != nil {
				return nil, err
			}
			l = append(l, f)
		}
	case ')':
		return nil, r.fail("a closing parenthesis without an opening one")
	case '\'':
		r.at++
		f, err := r.form()
		return list{symbol("quote"), f}, err
	case '"':
		return r.text()
	}
	start := r.at
	for r.at < len(r.src) && !strings.ContainsRune(" \t\r\n()'\";", rune(r.src[r.at])) {
		r.at++
	}
	word := r.src[start:r.at]
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		if n < minFixnum || n > maxFixnum {
			return nil, r.fail("%s has more than 63 bits", word)
		}
		return n, nil
	}
	return symbol(word), nil
}

func (r *reader) text() (form, error) {
	var b strings.Builder
	for r.at++; r.at < len(r.src); r.at++ {
		switch c := r.src[r.at]; c {
		case '"':
			r.at++
			return text(b.String()), nil
		case '\\':
			if r.at++; r.at < len(r.src) && r.src[r.at] == 'n' {
				b.WriteByte('\n')
			} else if r.at < len(r.src) {
				b.WriteByte(r.src[r.at])
			}
		default:
			if c == '\n' {
				r.line++
			}
			b.WriteByte(c)
		}
	}
	return nil, r.fail("the program ends inside of a string")
}

// String shows a list as source text.
func (l list) String() string {
	words := make([]string, len(l))
	for i, f := range l {
		words[i] = show(f)
	}
	return "(" + strings.Join(words, " ") + ")"
}

func show(f form) string {
	if t, ok := f.(text); ok {
		return strconv.Quote(string(t))
	}
	return fmt.Sprint(f)
}
