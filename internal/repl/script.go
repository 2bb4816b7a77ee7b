package repl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"livejit"
	"livejit/clang"
)

// Script reads inputs from r and does them without a prompt. It ends at the first error
// unless keepGoing is set, and says whether there was none.
func (s *Session) Script(ctx context.Context, r io.Reader, keepGoing bool) (bool, error) {
	lines := bufio.NewReader(r)
	ok := true
	var input strings.Builder
	for !s.quit {
		line, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			return false, err
		}
		input.WriteString(line)
		if err == nil && s.Open(input.String()) {
			continue
		}
		if failed := s.Input(ctx, input.String()); failed != nil {
			s.Explain(failed)
			ok = false
			if !keepGoing {
				return false, nil
			}
		}
		input.Reset()
		if err == io.EOF {
			return ok, nil
		}
	}
	return ok, nil
}

// Explain says an error where notes go: diagnostics with their source lines.
func (s *Session) Explain(err error) {
	var compile *livejit.CompileError
	if errors.As(err, &compile) {
		s.note("%s", strings.TrimRight(fmt.Sprintf("%+v", compile), "\n"))
		return
	}
	s.note("error: %v", err)
}

// Load makes a file part of the program: one in the language of the prompt as if it were typed, everything
// else as it is.
func (s *Session) Load(ctx context.Context, path string) error {
	typed := clang.IsFile(path) || strings.HasSuffix(path, ".h")
	if s.config.Lang == "ir" {
		typed = strings.HasSuffix(path, ".ll")
	}
	if !typed {
		_, err := s.engine.Add(ctx, livejit.File(path))
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return s.lang.source(ctx, string(text), path)
}
