package livejit

import (
	"debug/elf"
	"fmt"
	"strings"

	"livejit/internal/linkgraph"
	"livejit/internal/symtab"
)

// defineBounds defines __start_NAME and __stop_NAME symbols, which delimit the section NAME,
// for units that refer to them while another unit has the section. They are the load's own.
func (t *transaction) defineBounds() error {
	for _, u := range t.link.units {
		for _, id := range u.graph.UndefinedSymbols() {
			name := u.graph.Symbols[id].Name
			if !isBound(name) || t.link.names[name] != nil || t.known(u, name) {
				continue
			}
			if err := t.defineBound(name); err != nil {
				return err
			}
		}
	}
	return t.checkBounds()
}

// defineBound defines one such symbol in the first unit that has the section, if one has.
func (t *transaction) defineBound(name string) error {
	for _, u := range t.link.units {
		id, ok, err := u.graph.Bound(name)
		if err != nil {
			return &FormatError{Source: u.name, Err: err}
		}
		if !ok {
			continue
		}
		s := &symtab.Symbol{Name: name, Owner: u.module, Kind: symtab.Data, Local: true}
		d := &definition{symbol: s, module: u.module, unit: u, id: id, name: name, local: true}
		u.symbols = append(u.symbols, s)
		t.link.names[name] = d
		t.link.order = append(t.link.order, d)
		return nil
	}
	return nil
}

// checkBounds refuses a section that __start_ and __stop_ symbols delimit if several units
// have a part of it: each unit would see its own part only.
func (t *transaction) checkBounds() error {
	bounded := make(map[string]bool)
	eachSection := func(f func(*unit, *linkgraph.Section) error) error {
		for _, u := range t.link.units {
			for i := range u.graph.Sections {
				s := &u.graph.Sections[i]
				if s.Memory == linkgraph.Unloaded || s.Block < 0 || u.graph.Blocks[s.Block].Discarded || s.Type == elf.SHT_NULL {
					continue
				}
				if err := f(u, s); err != nil {
					return err
				}
			}
		}
		return nil
	}
	eachSection(func(_ *unit, s *linkgraph.Section) error {
		if s.Bounded {
			bounded[s.Name] = true
		}
		return nil
	})
	if len(bounded) == 0 {
		return nil
	}
	first := make(map[string]*unit)
	return eachSection(func(u *unit, s *linkgraph.Section) error {
		if !bounded[s.Name] {
			return nil
		}
		if other := first[s.Name]; other != nil && other != u {
			return &FormatError{Source: u.name, Err: fmt.Errorf("%s: section %s, which __start_ and __stop_ symbols delimit, has a part in %s too; link the objects with ld -r first", u.name, s.Name, other.name)}
		}
		first[s.Name] = u
		return nil
	})
}

// isBound says whether a symbol delimits a section.
func isBound(name string) bool {
	return strings.HasPrefix(name, "__start_") || strings.HasPrefix(name, "__stop_")
}
