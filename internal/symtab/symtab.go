// Package symtab is the engine's symbol table: names → symbols, the rules by which
// definitions meet, and who still refers to what.
//
// A Symbol is the identity of a name. Its address (for a function: its stub) never
// changes while anything refers to it. Definitions meet by the rules of the System V
// gABI ("Symbol Table", binding; "Section Groups"), applied to a program that is already
// running: what is loaded has been bound, so a later weak or common definition yields to
// it, and a later strong one is a duplicate.
//
// A function's versions come and go behind its symbol. Each Version knows the symbols it
// refers to and each Symbol the versions that refer to it, from linking on for as long as
// both exist: that is the graph of dependences.
//
// Nothing here is safe for concurrent use, but for Symbol.Entry; the engine's lock guards it.
package symtab

import "sync/atomic"

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

// State says what a function of ours can do at the moment. Other symbols are Loaded or Deleted.
type State uint8

const (
	Loaded   State = iota // there is machine code, the stub leads to it
	Pending               // there is none yet or no more: the first call has it compiled
	Deleted               // gone: who still calls gets an error, a definition of the name brings it back
	Outdated              // its name means another symbol now, of another type; who was bound before stays so
)

var stateNames = [...]string{"loaded", "pending", "deleted", "outdated"}

func (s State) String() string { return stateNames[s&3] }

// Symbol is one name with its meaning.
type Symbol struct {
	Name  string
	Owner Owner  // nil for host symbols
	Addr  uint64 // identity: what a load of its address yields
	Stub  uint64 // near entry for branches; 0 if none
	Slot  uint64 // the pointer slot the stub jumps through; 0 if none
	Body  uint64 // functions of ours: first instruction of the current version; data of the host: a near copy, if there is one
	Size  uint64
	TLS   *Place // thread-local symbols only
	Alias *Symbol
	Type  Type // functions: nil if unknown

	Current *Version // what holds its body; nil for a Pending or Deleted function and for what lies nowhere
	Last    uint32   // number of its latest version
	Origin  Origin   // what it can be compiled from again; nil if nothing

	// Entry is where the host enters a function: its stub (a label's address), 0 once it is
	// deleted. It alone is read without the engine's lock.
	Entry atomic.Uint64

	Code  Fingerprint // of its IR; zero if it came from an object
	Init  Fingerprint // of a variable's initialiser alone
	Lines uint64      // fingerprint of its debug locations

	users []use

	At      int32 // place in its owner's list of symbols
	Aliases int32 // symbols whose Alias it is

	Kind         Kind
	Strength     Strength
	State        State
	Local        bool // visible in its owner only
	Constant     bool // data that nothing writes to
	Private      bool // without a name that a programmer has given, such as a string literal
	AddressTaken bool // its address was used otherwise than for a call, ever: someone may hold it
	Orphan       bool // its owner is gone
}

// Type is the IR type of a function. Equal types are one pointer.
type Type interface{ String() string }

// Origin is a source that functions can be compiled from.
type Origin interface{ Name() string }

// Fingerprint identifies IR: equal ones mean equal code. The zero value is unknown.
type Fingerprint [16]byte

// Known says whether there is a fingerprint.
func (f Fingerprint) Known() bool { return f != Fingerprint{} }

// Version is one compiled body of a function or variable, or what the versions of one load
// share. It refers to symbols, and holds other versions that it reaches without a symbol.
type Version struct {
	ID      uint32  // number in the headers of its code
	Number  uint32  // from 1 for each symbol; 0 if it has none
	Symbol  *Symbol // whose body it is; nil if it has none
	Retired bool    // no longer current: it lives until nothing can reach it

	refs    []Ref
	holds   []*Version
	holders int32
}

// Ref is one dependence of a version.
type Ref struct {
	Symbol *Symbol
	at     uint32 // place in Symbol.users
	Flags  RefFlags
}

// RefFlags says how a version refers to a symbol.
type RefFlags uint8

const (
	Call    RefFlags = 1 << iota // calls it or jumps to it
	Address                      // uses its address: loads, stores, keeps it
)

// use is the other end of a Ref.
type use struct {
	version *Version
	ref     uint32 // place in version.refs
}

// Refer makes v refer to these symbols and hold these versions. It is called once, before anything else.
func (v *Version) Refer(refs []Ref, holds []*Version) {
	v.refs, v.holds = refs, holds
	for i := range refs {
		r := &refs[i]
		r.at = uint32(len(r.Symbol.users))
		r.Symbol.users = append(r.Symbol.users, use{v, uint32(i)})
		if r.Flags&Address != 0 {
			r.Symbol.AddressTaken = true
		}
	}
	for _, h := range holds {
		h.holders++
	}
}

// AddRef makes v refer to one more symbol, until DropRef or Forget. It does not count as a use of its address.
func (v *Version) AddRef(s *Symbol, how RefFlags) {
	v.refs = append(v.refs, Ref{Symbol: s, at: uint32(len(s.users)), Flags: how})
	s.users = append(s.users, use{v, uint32(len(v.refs) - 1)})
}

// DropRef undoes one AddRef, and calls f if nothing refers to s any more.
func (v *Version) DropRef(s *Symbol, f func(*Symbol)) {
	i := len(v.refs) - 1
	for v.refs[i].Symbol != s { // those that were added are the last
		i--
	}
	unused := v.refs[i].unlink()
	last := len(v.refs) - 1
	if i != last {
		moved := v.refs[last]
		v.refs[i] = moved
		moved.Symbol.users[moved.at].ref = uint32(i)
	}
	v.refs = v.refs[:last]
	if unused {
		f(s)
	}
}

// unlink takes the reference out of its symbol's users and says whether that was the last of them.
func (r Ref) unlink() bool {
	s := r.Symbol
	last := len(s.users) - 1
	moved := s.users[last]
	s.users[r.at] = moved
	moved.version.refs[moved.ref].at = r.at
	s.users[last] = use{}
	s.users = s.users[:last]
	if last == 0 {
		s.users = nil
	}
	return last == 0
}

// Forget takes all references and holds of v back, each in constant time, and calls f with
// each symbol and g with each version that nothing of that kind refers to any more.
func (v *Version) Forget(f func(*Symbol), g func(*Version)) {
	for _, r := range v.refs {
		if r.unlink() {
			f(r.Symbol)
		}
	}
	for _, h := range v.holds {
		if h.holders--; h.holders == 0 {
			g(h)
		}
	}
	v.refs, v.holds = nil, nil
}

// Refs returns what v refers to. The slice is v's.
func (v *Version) Refs() []Ref { return v.refs }

// Holds returns the versions that must not go before v. The slice is v's.
func (v *Version) Holds() []*Version { return v.holds }

// Held says whether a version that holds v is there.
func (v *Version) Held() bool { return v.holders > 0 }

// Users calls f for each version that refers to s, retired ones too, until f returns false.
func (s *Symbol) Users(f func(v *Version, how RefFlags) bool) {
	for _, u := range s.users {
		if !f(u.version, u.version.refs[u.ref].Flags) {
			return
		}
	}
}

// Refs returns how many versions refer to s.
func (s *Symbol) Refs() int { return len(s.users) }

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
