package symtab

import "testing"

type owner string

func (o owner) String() string { return string(o) }

func TestMeet(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new Strength
		want     Verdict
	}{
		{"two strong", Strong, Strong, Duplicate},
		{"a weak one after a strong one", Strong, Weak, KeepOld},
		{"a strong one after a weak one", Weak, Strong, TakeNew},
		{"the first of two weak ones", Weak, Weak, KeepOld},
		{"a strong one after a common one", Common, Strong, TakeNew},
		{"a common one after a strong one", Strong, Common, KeepOld},
		{"two commons", Common, Common, Merge},
		{"a common one after a weak one", Weak, Common, TakeNew},
		{"a weak one after a common one", Common, Weak, KeepOld},
	} {
		if got := Meet(c.old, c.new); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	for new, want := range map[Strength]Verdict{Strong: Duplicate, Weak: KeepOld, Common: KeepOld} {
		if got := MeetLoaded(new); got != want {
			t.Errorf("a loaded definition meets strength %d: %d, want %d", new, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := New()
	first, second := &Symbol{Name: "f", Kind: HostFunc}, &Symbol{Name: "f", Kind: Func}
	table.Insert(first)
	table.Remove(second) // the name means another symbol: nothing happens
	if table.Lookup("f") != first || table.Len() != 1 {
		t.Error("the first symbol is gone")
	}
	table.Remove(first)
	table.Insert(second)
	table.Remove(first)
	if table.Lookup("f") != second || !first.Kind.Host() || second.Kind.Host() {
		t.Error("the second symbol is not in its place")
	}
	defer func() {
		if recover() == nil {
			t.Error("a second symbol of one name was accepted")
		}
	}()
	table.Insert(first)
}

func TestGroupsGoWithTheirOwner(t *testing.T) {
	table := New()
	table.KeepGroup("g", owner("a"))
	table.KeepGroup("h", owner("b"))
	table.DropGroups(owner("a"))
	if table.Group("g") != nil || table.Group("h") != owner("b") {
		t.Errorf("groups after their owner went: %v, %v", table.Group("g"), table.Group("h"))
	}
}

func TestReferences(t *testing.T) {
	s := &Symbol{Name: "s"}
	s.Retain()
	s.Retain()
	if n := s.Release(); n != 1 || s.Refs() != 1 {
		t.Errorf("%d references left, Refs %d; want 1", n, s.Refs())
	}
	s.Release()
	defer func() {
		if recover() == nil {
			t.Error("a reference too many was taken back")
		}
	}()
	s.Release()
}
