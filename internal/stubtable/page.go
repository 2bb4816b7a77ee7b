package stubtable

import (
	"encoding/binary"
	"errors"

	"livejit/internal/codearena"
)

// stub is the i-th stub of a page.
func (p *page) stub(i uint32) Stub {
	return Stub{Addr: p.stubs.RX + uint64(i)*StubSize, Slot: p.slots.RX + uint64(i)*SlotSize}
}

// slotsSize is the number of bytes of a page's slots with the miss cell behind them.
const slotsSize = (pageStubs + 1) * SlotSize

// cell is the address of the page's miss cell.
func (p *page) cell() uint64 { return p.slots.RX + pageStubs*SlotSize }

// addPage makes 256 stubs, all free and with their miss in the slot. On an error
// nothing is left behind. The caller holds t.mu.
func (t *Table) addPage() (err error) {
	var p page
	defer func() {
		if err != nil {
			err = errors.Join(err, t.freeSpan(p.stubs), t.freeSpan(p.slots))
		}
	}()
	// The address of a page follows from that of its stubs because it is aligned to its size.
	p.stubs, err = t.memory.Allocate(codearena.Request{
		Section: "stubs", Kind: codearena.Stubs, Size: pageStubs * StubSize, Align: pageStubs * StubSize})
	if err != nil {
		return err
	}
	p.slots, err = t.memory.Allocate(codearena.Request{
		Section: "slots", Kind: codearena.Slots, Size: slotsSize, Align: 64})
	if err != nil {
		return err
	}
	code := make([]byte, pageStubs*StubSize)
	slots := make([]byte, slotsSize)
	for i := range uint32(pageStubs) {
		s := p.stub(i)
		if err := t.enc.stub(code[i*StubSize:][:StubSize], s, p.cell()); err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(slots[i*SlotSize:], t.Miss(s))
	}
	binary.LittleEndian.PutUint64(slots[pageStubs*SlotSize:], t.miss)
	if err := t.memory.Write(p.slots, 0, slots); err != nil {
		return err
	}
	if err := t.memory.Write(p.stubs, 0, code); err != nil {
		return err
	}
	number := uint32(len(t.pages))
	if n := len(t.gaps); n > 0 {
		number, t.gaps = t.gaps[n-1], t.gaps[:n-1]
		t.pages[number] = p
	} else {
		t.pages = append(t.pages, p)
	}
	t.byAddr[p.stubs.RX] = number
	t.empty++
	for i := range uint32(pageStubs) {
		t.free.push(pack(number, i))
	}
	return nil
}

// releaseEmpty gives back empty pages until keep of them are left. Its cost is
// that of looking at each free stub once; Free calls it only when so many pages are
// empty that this is a constant for each stub given back. The caller holds t.mu.
func (t *Table) releaseEmpty(keep int) {
	for number := range t.pages {
		p := &t.pages[number]
		if t.empty <= keep || p.stubs.Size == 0 || p.live > 0 {
			continue
		}
		t.empty--
		delete(t.byAddr, p.stubs.RX)
		t.failed = errors.Join(t.failed, t.freeSpan(p.stubs), t.freeSpan(p.slots))
		t.pages[number] = page{}
		t.gaps = append(t.gaps, uint32(number))
	}
	t.free.keep(func(entry uint32) bool {
		number, _ := unpack(entry)
		return t.pages[number].stubs.Size > 0
	})
}

// freeSpan frees a span unless it is none.
func (t *Table) freeSpan(s codearena.Span) error {
	if s.Size == 0 {
		return nil
	}
	return t.memory.Free(s)
}

// An entry of the free list is a page number and a place in the page.
func pack(number, i uint32) uint32           { return number*pageStubs + i }
func unpack(entry uint32) (number, i uint32) { return entry / pageStubs, entry % pageStubs }

// A queue is first in, first out, in one ring.
type queue struct {
	ring  []uint32 // its length is 0 or a power of two
	first int
	count int
}

func (q *queue) len() int { return q.count }

func (q *queue) push(v uint32) {
	if q.count == len(q.ring) {
		ring := make([]uint32, max(pageStubs, 2*len(q.ring)))
		n := copy(ring, q.ring[q.first:])
		copy(ring[n:], q.ring[:q.first])
		q.ring, q.first = ring, 0
	}
	q.ring[(q.first+q.count)&(len(q.ring)-1)] = v
	q.count++
}

func (q *queue) pop() uint32 {
	v := q.ring[q.first]
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.count--
	return v
}

// keep drops the entries for which ok is false, in order, and memory with them.
func (q *queue) keep(ok func(uint32) bool) {
	var kept queue
	for range q.count {
		if v := q.pop(); ok(v) {
			kept.push(v)
		}
	}
	*q = kept
}
