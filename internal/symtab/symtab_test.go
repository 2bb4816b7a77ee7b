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
	f, g, unused := &Symbol{Name: "f"}, &Symbol{Name: "g"}, 0
	constant := &Version{}
	var versions []*Version
	for range 5 {
		v := &Version{Symbol: f}
		v.Refer([]Ref{{Symbol: f, Flags: Call}, {Symbol: g, Flags: Address}, {Symbol: f, Flags: Call}}, []*Version{constant})
		versions = append(versions, v)
	}
	if f.Refs() != 10 || g.Refs() != 5 || !g.AddressTaken || f.AddressTaken || !constant.Held() {
		t.Fatalf("%d and %d references, address taken %v and %v", f.Refs(), g.Refs(), f.AddressTaken, g.AddressTaken)
	}
	released := false
	for i, n := range []int{2, 0, 4, 1, 3} { // in any order
		versions[n].Forget(func(*Symbol) { unused++ }, func(v *Version) { released = v == constant })
		left := 0
		g.Users(func(v *Version, how RefFlags) bool {
			left++
			if v == versions[n] || how != Address || len(v.Refs()) != 3 {
				t.Errorf("a use of g by %v with flags %d", v, how)
			}
			return true
		})
		if left != 4-i || f.Refs() != 2*left {
			t.Errorf("after %d versions have gone there are %d and %d references", i+1, f.Refs(), left)
		}
	}
	if unused != 2 || !released || constant.Held() {
		t.Errorf("%d symbols became unused, want 2; the constant is free: %v", unused, released)
	}
}

func TestSingleReferences(t *testing.T) {
	f, g := &Symbol{Name: "f"}, &Symbol{Name: "g"}
	v, w := &Version{}, &Version{}
	v.Refer([]Ref{{Symbol: f, Flags: Address}}, nil)
	w.AddRef(g, Call)
	v.AddRef(g, Call)
	v.AddRef(f, Call)
	v.AddRef(g, Call)
	if f.Refs() != 2 || g.Refs() != 3 || g.AddressTaken {
		t.Fatalf("%d and %d references", f.Refs(), g.Refs())
	}
	never := func(s *Symbol) { t.Errorf("%s is not unused", s.Name) }
	v.DropRef(g, never)
	v.DropRef(f, never)
	flags := RefFlags(0)
	f.Users(func(_ *Version, how RefFlags) bool { flags |= how; return true })
	if f.Refs() != 1 || g.Refs() != 2 || flags != Address {
		t.Errorf("%d and %d references, f's with flags %d", f.Refs(), g.Refs(), flags)
	}
	v.DropRef(g, never)
	unused := ""
	w.DropRef(g, func(s *Symbol) { unused += s.Name })
	v.Forget(func(s *Symbol) { unused += s.Name }, nil)
	if unused != "gf" || len(v.Refs())+len(w.Refs())+f.Refs()+g.Refs() != 0 {
		t.Errorf("unused: %q", unused)
	}
}
