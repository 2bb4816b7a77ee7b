package repl

import "context"

// language is what a session has to know of the language that is typed. What a program is made
// of (items), how it changes, and the commands are the same in all.
type language interface {
	// title is what people call it, extension that of its files.
	title() string
	extension() string
	// open says whether text is the beginning of an input that needs more lines.
	open(text string) bool
	// source does what text says, piece by piece; messages call it name. Definitions are as they
	// were before after an error.
	source(ctx context.Context, text, name string) error
	// translate compiles the text of an item. Items for which leave is true are not declared to it.
	translate(ctx context.Context, text, name string, leave func(*item) bool) (*unit, error)
	// entry makes a function that stands in for one that is used and not defined; nil if it
	// cannot be said what that would be.
	entry(ctx context.Context, symbol string) (*unit, error)
	// initialise gives a variable its initial value.
	initialise(ctx context.Context, i *item) error
	// refresh brings up to date what stands in front of every source.
	refresh(ctx context.Context) error
	// showType prints the type of what text is, without running it.
	showType(ctx context.Context, text string) error
	// comment begins one that ends with its line.
	comment() string
	// text is the program as one source that compiles.
	text(p *program) string
	// buildFlags are those that the command clang needs for it.
	buildFlags() []string
	// scan takes text apart; words are worth completing and colouring; letter says whether r may
	// stand in a name.
	scan(text string) (tokens []token, open string)
	words() []string
	letter(r rune) bool
	help() string
}

// languages by the name that Config.Lang has.
var languages = map[string]func(s *Session) language{
	"c":   func(s *Session) language { return cFamily{s} },
	"c++": func(s *Session) language { return cFamily{s} },
	"ir": func(s *Session) language {
		return &assembly{Session: s, guessed: map[string]string{}, given: map[string]string{}, kept: map[string]kept{}}
	},
}

// cFamily is C and C++.
type cFamily struct{ *Session }

func (s cFamily) title() string {
	if s.config.Lang == "c++" {
		return "C++"
	}
	return "C"
}

func (s cFamily) extension() string {
	if s.config.Lang == "c++" {
		return ".cc"
	}
	return ".c"
}

func (s cFamily) comment() string { return "//" }

func (s cFamily) open(text string) bool {
	_, open := scan(text)
	return open != "" || openConditional(text)
}

func (s cFamily) scan(text string) ([]token, string) { return scan(text) }
func (s cFamily) words() []string                    { return keywords }
func (s cFamily) letter(r rune) bool                 { return isLetter(r) || r >= '0' && r <= '9' }

func (s cFamily) buildFlags() []string {
	flags := []string{"-w", "-I."}
	if s.config.Lang == "c" {
		flags = append(flags, "-std=gnu17")
	}
	return flags
}

func (s cFamily) help() string {
	return "Definitions and statements of " + s.title() + " are done as they are typed; an expression without a\nsemicolon is printed with its type."
}
