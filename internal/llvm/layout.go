package llvm

import (
	"fmt"
	"maps"
	"slices"
)

// Layout is where a named aggregate (struct, class, union, enum) keeps what, by its debug info.
type Layout struct {
	Size    uint64 // bytes
	Members []Member
}

// Member is one member of an aggregate in declaration order; in C++ also its base classes ("base T", "virtual base T") and
// the pointer to its virtual table ("_vptr$T"). Static members are not in it. Values of an enum are members of offset 0.
type Member struct {
	Name         string // "" for an anonymous struct or union
	Offset, Size uint64 // bits
	// Type as in Global.DebugType; of an aggregate without a name its members are written out, with their offsets in
	// bits. Of an enum's value "= 3".
	Type string
}

// LayoutChange is one difference between two layouts of an aggregate.
type LayoutChange struct {
	Aggregate string // key of Summary.Layouts
	Member    string // "" if the change is of the aggregate as a whole
	Text      string // one line for users
}

func (c LayoutChange) String() string { return c.Text }

// DiffLayouts tells how the aggregates called roots differ between two modules, each old.Layouts and new.Layouts of their
// summaries; nil roots means all that both have. An aggregate that only one of them has, and a new member that
// changes nothing else, is a change as well. The result is in the order of roots and members; nil if nothing differs.
func DiffLayouts(old, new map[string]Layout, roots []string) []LayoutChange {
	if roots == nil {
		for _, name := range slices.Sorted(maps.Keys(old)) {
			if _, both := new[name]; both {
				roots = append(roots, name)
			}
		}
	}
	var d layoutDiff
	for _, name := range roots {
		d.aggregate = name
		o, had := old[name]
		n, has := new[name]
		switch {
		case had && has:
			d.compare(o, n)
		case had:
			d.add("", "%s is gone", name)
		case has:
			d.add("", "%s is new", name)
		}
	}
	return d.changes
}

// layoutDiff collects the changes of one aggregate after another.
type layoutDiff struct {
	aggregate string
	changes   []LayoutChange
}

func (d *layoutDiff) add(member, format string, args ...any) {
	d.changes = append(d.changes, LayoutChange{Aggregate: d.aggregate, Member: member, Text: fmt.Sprintf(format, args...)})
}

func (d *layoutDiff) compare(o, n Layout) {
	name := d.aggregate
	switch {
	case n.Size > o.Size:
		d.add("", "%s grew from %d to %d bytes", name, o.Size, n.Size)
	case n.Size < o.Size:
		d.add("", "%s shrank from %d to %d bytes", name, o.Size, n.Size)
	}
	taken := make([]bool, len(n.Members))
	for _, m := range o.Members {
		j := findMember(n.Members, taken, m.Name)
		if j < 0 {
			d.add(m.Name, "%s: %s is gone", name, m.title())
			continue
		}
		taken[j] = true
		d.member(m, n.Members[j])
	}
	for j, m := range n.Members {
		if !taken[j] {
			d.add(m.Name, "%s: %s is new", name, m.title())
		}
	}
}

// findMember finds the first member of a name that is not taken; -1 if there is none. So members without a name correspond
// in their order.
func findMember(members []Member, taken []bool, name string) int {
	for j, n := range members {
		if n.Name == name && !taken[j] {
			return j
		}
	}
	return -1
}

func (d *layoutDiff) member(o, n Member) {
	name, title := d.aggregate, o.title()
	if o.Type != n.Type {
		d.add(o.Name, "%s: %s changed from %s to %s", name, title, o.typeText(), n.typeText())
	} else if o.Size != n.Size {
		d.add(o.Name, "%s: %s changed from %s to %s", name, title, bits(o.Size), bits(n.Size))
	}
	if o.Offset != n.Offset {
		d.add(o.Name, "%s: %s moved from %s", name, title, places(o.Offset, n.Offset))
	}
}

// title names the member in a text.
func (m Member) title() string {
	switch {
	case m.isValue():
		return "value " + m.Name
	case m.Name == "":
		return "the member without a name"
	}
	return "member " + m.Name
}

func (m Member) isValue() bool { return len(m.Type) > 2 && m.Type[:2] == "= " }

func (m Member) typeText() string {
	if m.isValue() {
		return m.Type[2:]
	}
	return m.Type
}

// places are two offsets for users: in bytes where both are whole ones.
func places(old, new uint64) string {
	if old%8 == 0 && new%8 == 0 {
		return fmt.Sprintf("byte %d to %d", old/8, new/8)
	}
	return fmt.Sprintf("bit %d to %d", old, new)
}

// bits is a size for users.
func bits(size uint64) string {
	if size%8 == 0 {
		return fmt.Sprintf("%d bytes", size/8)
	}
	return fmt.Sprintf("%d bits", size)
}
