package livejit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// irSource is a text of IR that code was compiled from and that is the source in its debug information. It lives as long as a
// piece of that code.
type irSource struct {
	file  string // path of the copy that debuggers read
	text  string
	users int // pieces; guarded by Engine.mu

	once   sync.Once
	starts []int // of the lines in text, made at the first use
}

// makeTextDir makes the directory for texts.
func (e *Engine) makeTextDir() (err error) {
	if !e.config.irDebug {
		return nil
	}
	if e.textDir, err = os.MkdirTemp("", "livejit-ir-"); err != nil {
		return fmt.Errorf("livejit: directory for IR texts: %w", err)
	}
	return nil
}

// removeTextDir removes it with what is left there.
func (e *Engine) removeTextDir() error {
	if e.textDir == "" {
		return nil
	}
	if err := os.RemoveAll(e.textDir); err != nil {
		return fmt.Errorf("livejit: remove IR texts: %w", err)
	}
	return nil
}

// writeTexts writes the texts of the units that were made of a part.
func (p *part) writeTexts(e *Engine) error {
	for _, u := range append([]*unit{p.unit}, p.rest...) {
		if u.compiled == nil || u.compiled.Text == nil {
			continue
		}
		t := &irSource{file: filepath.Join(e.textDir, u.compiled.Text.File), text: u.compiled.Text.Text}
		u.compiled.Text = nil
		if err := os.WriteFile(t.file, []byte(t.text), 0o600); err != nil {
			t.remove()
			return fmt.Errorf("livejit: %s: write its IR text: %w", u.name, err)
		}
		u.text = t
	}
	return nil
}

// remove removes the copy for debuggers. One that stays goes with the directory, whose removal says why it does not.
func (t *irSource) remove() { _ = os.Remove(t.file) }

// giveText gives the text to the pieces, which are published.
func (u *unit) giveText() {
	t := u.text
	if t == nil || len(u.pieces) == 0 {
		return
	}
	for _, p := range u.pieces {
		p.text = t
	}
	t.users, u.text = len(u.pieces), nil
}

// leave is called when a piece is freed. The engine is locked.
func (t *irSource) leave() {
	if t.users--; t.users == 0 {
		t.remove()
	}
}

// locate fills in the file and the instruction of a location with a line of the text.
func (t *irSource) locate(l *Location) {
	if l.Line > 0 {
		l.File, l.IR = t.file, t.instruction(l.Line)
	}
}

// maxInstruction is how much is shown of one.
const maxInstruction = 300

// instruction returns the instruction or head of a function at a line, from 1, in one line; "" if there is none. Further
// lines of an instruction are indented deeper than its first, and a switch ends with a bracket.
func (t *irSource) instruction(line int) string {
	t.once.Do(func() {
		for at := 0; at < len(t.text); at += strings.IndexByte(t.text[at:]+"\n", '\n') + 1 {
			t.starts = append(t.starts, at)
		}
	})
	if line > len(t.starts) {
		return ""
	}
	first, rest, _ := strings.Cut(t.text[t.starts[line-1]:], "\n")
	if strings.HasPrefix(first, "define ") {
		return strings.Clone(strings.TrimSuffix(first, " {"))
	}
	var b strings.Builder
	b.WriteString(strings.TrimSpace(first))
	for b.Len() < maxInstruction {
		var next string
		next, rest, _ = strings.Cut(rest, "\n")
		if !strings.HasPrefix(next, "    ") && next != "  ]" {
			return b.String()
		}
		b.WriteByte(' ')
		b.WriteString(strings.TrimSpace(next))
	}
	return b.String()[:maxInstruction] + " ..."
}
