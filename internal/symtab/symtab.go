// Package symtab is the engine's symbol table: names → symbols, the rules by which
// definitions meet, and who still refers to what.
//
// A Symbol is the identity of a name. Its address (for a function: its stub) never
// changes while anything refers to it. Definitions meet by the rules of the System V
// gABI ("Symbol Table", binding; "Section Groups"), applied to a program that is already
// running: what is loaded has been bound, so a later weak or common definition yields to
// it, and a later strong one is a duplicate.
//
// A Table is not safe for concurrent use; the engine's lock guards it. References are
// counted with plain integers for the same reason.
package symtab

// Kind says what a symbol names.
type Kind uint8

const (
	Func     Kind = iota + 1 // a function of ours, behind a stub
	Data                     // a variable or a label of ours
	TLS                      // a thread-local variable of ours
	HostFunc                 // a function of the process, of a library, or a Go function
	HostData                 // a variable of the process or of a library
	HostTLS                  // a thread-local variable of the process or of a library
	Absent                   // an undefined weak symbol: address 0
	Label                    // an untyped label in code of ours: entered at its true place, never replaced
	Number                   // an absolute symbol of ours: Addr is a value, not a place
)

// Host says whether the symbol was found outside the engine.
func (k Kind) Host() bool { return k == HostFunc || k == HostData || k == HostTLS || k == Absent }

// Strength orders definitions that meet.
type Strength uint8

const (
	Strong Strength = iota
	Weak
	Common
)

// Owner is who defines a symbol: a module of the engine.
type Owner interface{ String() string }

// Place is where a thread-local symbol lives.
type Place struct {
	Module, Offset uint64
	TPOffset       int64
	Static         bool
}

// Symbol is one name with its meaning.
type Symbol struct {
	Name     string
	Owner    Owner  // nil for host symbols
	Addr     uint64 // identity: what a load of its address yields
	Stub     uint64 // near entry for branches; 0 if none
	Slot     uint64 // the pointer slot the stub jumps through; 0 if none
	Body     uint64 // functions of ours: first instruction of the current version; data of the host: a near copy, if there is one
	Size     uint64
	TLS      *Place // thread-local symbols only
	Alias    *Symbol
	Version  uint32 // functions of ours: identifier of the current version
	Type     int32  // index into the owner's signatures; -1 unknown
	refs     int32
	Kind     Kind
	Strength Strength
	Local    bool // visible in its owner only
	Constant bool // data of the host that nothing writes to
}

// Refs returns how many pieces refer to s.
func (s *Symbol) Refs() int { return int(s.refs) }

// Retain counts one more piece that refers to s.
func (s *Symbol) Retain() { s.refs++ }

// Release takes one reference back and returns how many are left.
func (s *Symbol) Release() int {
	if s.refs == 0 {
		panic("BUG: symtab: more releases than references of " + s.Name)
	}
	s.refs--
	return int(s.refs)
}

// Table holds the symbols that every module sees.
type Table struct {
	names  map[string]*Symbol
	groups map[string]Owner // COMDAT signature → the module whose group was kept
}

// New returns an empty table.
func New() *Table {
	return &Table{names: make(map[string]*Symbol), groups: make(map[string]Owner)}
}

// Lookup returns the symbol called name, or nil.
func (t *Table) Lookup(name string) *Symbol { return t.names[name] }

// Insert adds s. The name must be free.
func (t *Table) Insert(s *Symbol) {
	if t.names[s.Name] != nil {
		panic("BUG: symtab: " + s.Name + " inserted twice")
	}
	t.names[s.Name] = s
}

// Remove takes s out, if the name means s.
func (t *Table) Remove(s *Symbol) {
	if t.names[s.Name] == s {
		delete(t.names, s.Name)
	}
}

// Len returns the number of names.
func (t *Table) Len() int { return len(t.names) }

// All calls f for every symbol, in no order, until f returns false.
func (t *Table) All(f func(*Symbol) bool) {
	for _, s := range t.names {
		if !f(s) {
			return
		}
	}
}

// Group returns the owner of the COMDAT group kept under a signature, or nil.
func (t *Table) Group(signature string) Owner { return t.groups[signature] }

// KeepGroup records that o's COMDAT group is the one kept.
func (t *Table) KeepGroup(signature string, o Owner) { t.groups[signature] = o }

// DropGroups forgets the groups of o.
func (t *Table) DropGroups(o Owner) {
	for sig, owner := range t.groups {
		if owner == o {
			delete(t.groups, sig)
		}
	}
}

// Verdict is what happens when two definitions of one name meet.
type Verdict uint8

const (
	KeepOld   Verdict = iota // the new definition is discarded and refers to the old one
	TakeNew                  // the new definition takes the place of the old one
	Duplicate                // an error
	Merge                    // two commons: the larger size and alignment
)

// Meet decides between two definitions inside one load, in the order in which they
// were given (gABI, "Symbol Table": a strong definition overrides weak and common ones,
// a common one overrides a weak one, the first of two weak ones is kept).
func Meet(old, new Strength) Verdict {
	switch {
	case old == Strong && new == Strong:
		return Duplicate
	case old == Common && new == Common:
		return Merge
	case new == Strong && old != Strong, new == Common && old == Weak:
		return TakeNew
	}
	return KeepOld
}

// MeetLoaded decides between a definition that is loaded, hence bound by running code,
// and a new one.
func MeetLoaded(new Strength) Verdict {
	if new == Strong {
		return Duplicate
	}
	return KeepOld
}
