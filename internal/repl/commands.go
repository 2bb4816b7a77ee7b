package repl

import (
	"context"
	"fmt"
	"strings"
)

// command does a line that begins with a colon.
func (s *Session) command(ctx context.Context, line string) error {
	word, _, _ := strings.Cut(line, " ")
	if word == ":quit" {
		s.quit = true
		return nil
	}
	return fmt.Errorf("no command %s", word)
}
