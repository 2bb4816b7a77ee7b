package hostsym

import (
	"bytes"
	"fmt"
	"strings"
)

// ScriptError is a text file in the place of a library that is not a linker script we can follow.
type ScriptError struct {
	Path string
	Line int
	Msg  string
}

func (e *ScriptError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Msg) }

type scriptInput struct {
	name     string // a path or -lNAME
	line     int
	asNeeded bool
}

// parseScript reads the linker scripts that stand for libraries: commands COMMAND ( word, word ... ) (ld manual, "File Commands").
func parseScript(path string, text []byte) ([]scriptInput, error) {
	p := &scriptParser{path: path, text: text, line: 1}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, p.fail("is neither ELF nor an archive nor a linker script")
	}
	for {
		command, err := p.token()
		if err != nil || command == "" {
			return p.inputs, err
		}
		if command == ";" {
			continue
		}
		switch command {
		case "INPUT", "GROUP":
			err = p.files(false)
		case "OUTPUT_FORMAT", "OUTPUT_ARCH", "SEARCH_DIR", "TARGET":
			err = p.ignore()
		default:
			err = p.fail("has %q where a linker script for a library has INPUT or GROUP", clip(command))
		}
		if err != nil {
			return nil, err
		}
	}
}

type scriptParser struct {
	path   string
	text   []byte
	line   int
	inputs []scriptInput
}

func (p *scriptParser) fail(format string, args ...any) error {
	return &ScriptError{Path: p.path, Line: p.line, Msg: fmt.Sprintf(format, args...)}
}

func (p *scriptParser) open() error {
	if t, err := p.token(); err != nil || t != "(" {
		if err == nil {
			err = p.fail("has %q where ( must stand", clip(t))
		}
		return err
	}
	return nil
}

func (p *scriptParser) files(asNeeded bool) error {
	if err := p.open(); err != nil {
		return err
	}
	for {
		t, err := p.token()
		switch {
		case err != nil:
			return err
		case t == "":
			return p.fail("ends inside a list")
		case t == ")":
			return nil
		case t == "," || t == ";":
		case t == "(":
			return p.fail("has a second (")
		case t == "AS_NEEDED" && !asNeeded:
			if err := p.files(true); err != nil {
				return err
			}
		default:
			// = and $SYSROOT stand for the linker's sysroot, which is / here.
			t = strings.TrimPrefix(strings.TrimPrefix(t, "="), "$SYSROOT")
			p.inputs = append(p.inputs, scriptInput{name: t, line: p.line, asNeeded: asNeeded})
		}
	}
}

func (p *scriptParser) ignore() error {
	if err := p.open(); err != nil {
		return err
	}
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		if t == "" {
			return p.fail("ends inside a list")
		}
		if t == ")" {
			return nil
		}
	}
}

// token returns the next word or punctuation, "" at the end.
func (p *scriptParser) token() (string, error) {
	for len(p.text) > 0 {
		switch c := p.text[0]; {
		case c == '\n':
			p.line++
			p.text = p.text[1:]
		case c == ' ' || c == '\t' || c == '\r':
			p.text = p.text[1:]
		case bytes.HasPrefix(p.text, []byte("/*")):
			end := bytes.Index(p.text[2:], []byte("*/"))
			if end < 0 {
				return "", p.fail("ends inside a remark")
			}
			p.line += bytes.Count(p.text[:end+4], []byte("\n"))
			p.text = p.text[end+4:]
		case strings.IndexByte("(),;", c) >= 0:
			p.text = p.text[1:]
			return string(c), nil
		case c == '"':
			end := bytes.IndexByte(p.text[1:], '"')
			if end <= 0 {
				return "", p.fail("has a bad quotation")
			}
			word := string(p.text[1 : end+1])
			p.text = p.text[end+2:]
			return word, nil
		default:
			end := bytes.IndexAny(p.text, " \t\r\n(),;\"")
			if end < 0 {
				end = len(p.text)
			}
			word := string(p.text[:end])
			p.text = p.text[end:]
			return word, nil
		}
	}
	return "", nil
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
