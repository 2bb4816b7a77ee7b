package livejit

import (
	"context"
	"fmt"
	"slices"

	"livejit/internal/symtab"
)

// WithHistory keeps what the last n replaced versions of each function were made from, and
// their machine code as bytes, for showing and comparing; see Function.Past. It costs the size of the
// code, and the bitcode of a source for as long as one of its versions is kept. Default: 0.
func WithHistory(n int) Option {
	return func(c *config) error {
		if n < 0 {
			return fmt.Errorf("livejit: a history of %d versions", n)
		}
		c.history = n
		return nil
	}
}

// Past is a version of a function that was replaced. It shows what was; it holds nothing that
// could run.
type Past struct {
	Number int // of the version
	Size   int // bytes of machine code

	name   string
	origin *origin
	body   uint64
	code   []byte
	names  map[uint64]string
}

// Past returns the replaced versions of the function that WithHistory has kept, oldest first.
func (f *Function) Past() []Past {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	return slices.Clone(f.engine.history[f.primary()])
}

// IR returns the LLVM IR that the version was compiled from, as Function.IR does. Errors:
// ErrNotFound if it came as machine code, ErrClosed.
func (p Past) IR() (string, error) {
	if p.origin == nil {
		return "", fmt.Errorf("IR of %s@%d: it came as machine code: %w", p.name, p.Number, ErrNotFound)
	}
	if !p.origin.engine.open.Load() {
		return "", ErrClosed
	}
	var text string
	err := p.origin.use(context.Background(), func(part *part) (err error) {
		text, err = part.program.IR(p.name)
		return compileError(part.source.name, err)
	})
	return text, err
}

// Disassemble returns the machine code that the version had, as Function.Disassemble does, without source lines.
func (p Past) Disassemble() string {
	return listing(p.name, p.Number, p.body, p.code, p.names, nil)
}

// remember keeps the current version of s, which is about to be replaced. The engine is locked.
func (e *Engine) remember(s *symtab.Symbol) {
	if e.config.history == 0 || s.Kind != symtab.Func || s.Alias != nil || s.Current == nil || s.Size == 0 {
		return
	}
	p := Past{Number: int(s.Last), Size: int(s.Size), name: s.Name, body: s.Body, code: slices.Clone(nativeBytes(s.Body, s.Size)), names: e.namesOf(s.Current)}
	p.origin, _ = s.Origin.(*origin)
	list := append(e.history[s], p)
	if len(list) > e.config.history {
		list = slices.Delete(list, 0, len(list)-e.config.history)
	}
	e.history[s] = list
}
