package codearena

import "livejit/internal/vmem"

const (
	// firstGrowth is what a pool is given at first, in chunks: 1 MiB, too little
	// for the kernel to back it with a huge page.
	firstGrowth = 4
	// maxGrowth bounds what a pool is given beyond need, in chunks: 64 MiB.
	maxGrowth = 256
)

// A room is a run of chunks [first, end) without owner.
type room struct{ first, end uint32 }

// rooms calls f for each room, limited to [from, to), until it returns false.
func (a *Arena) rooms(from, to uint32, f func(room) bool) {
	for i := from; i < to; i++ {
		if a.chunks[i] != nil {
			continue
		}
		r := room{first: i, end: i + 1}
		for r.end < to && a.chunks[r.end] == nil {
			r.end++
		}
		if !f(r) {
			return
		}
		i = r.end
	}
}

// grow gives the pool address space in which units fit, and memory to it. It
// reports false if there is no room.
func (a *Arena) grow(p *pool, units, align uint32) (bool, error) {
	r, ok := a.findRoom(p, units, align)
	if !ok {
		return false, nil
	}
	first := a.lo + uint64(r.first)*chunkSize
	if err := a.space.Map(first, uint64(r.end-r.first)*chunkSize, p.access); err != nil {
		return false, err
	}
	chunks := make([]chunk, r.end-r.first)
	for i := range chunks {
		chunks[i].pool = p
		a.chunks[r.first+uint32(i)] = &chunks[i]
	}
	p.grown += r.end - r.first
	perChunk := uint32(chunkSize >> p.shift)
	p.free.insert(r.first*perChunk, (r.end-r.first)*perChunk)
	return true, nil
}

// findRoom chooses the chunks the pool gets next: beside what it has, so that the
// mappings join; else from its home on; else anywhere.
func (a *Arena) findRoom(p *pool, units, align uint32) (room, bool) {
	want := max(min(firstGrowth, uint32(len(a.chunks))/8), min(p.grown, maxGrowth), 1)
	var beside, other room
	look := func(r room) bool {
		part, adjacent, ok := a.fit(p, r, units, align, want)
		switch {
		case !ok:
		case adjacent:
			beside = part
			return false
		case other.end == 0 || p.down:
			other = part // the lowest, or for a pool that grows down the highest
		}
		return true
	}
	all := uint32(len(a.chunks))
	if !p.down && p.home != 0 && p.grown == 0 {
		a.rooms(p.home, all, look)
	}
	if other.end == 0 {
		a.rooms(0, all, look)
	}
	if beside.end != 0 {
		return beside, true
	}
	return other, other.end != 0
}

// fit cuts the part of a room that the pool needs, at least want chunks if there
// are as many. Free blocks of the pool on both sides of the room count as room.
func (a *Arena) fit(p *pool, r room, units, align, want uint32) (part room, adjacent, ok bool) {
	perChunk := uint32(chunkSize >> p.shift)
	lo, hi := r.first*perChunk, r.end*perChunk
	left, right := p.free.endingAt(lo), p.free.beginningAt(hi)
	up := (lo - left + align - 1) &^ (align - 1) // lowest place for the request
	if uint64(up)+uint64(units) > uint64(hi+right) {
		return room{}, false, false
	}
	if p.down {
		adjacent = r.end < uint32(len(a.chunks)) && a.chunks[r.end].pool == p
		at := min((hi+right-units)&^(align-1), hi-1)
		n := max(r.end-at/perChunk, want)
		if at < lo || n > r.end-r.first {
			n = r.end - r.first
		}
		return room{first: r.end - n, end: r.end}, adjacent, true
	}
	adjacent = r.first > 0 && a.chunks[r.first-1] != nil && a.chunks[r.first-1].pool == p
	n := min(max((max(up+units, lo+1)-lo+perChunk-1)/perChunk, want), r.end-r.first)
	return room{first: r.first, end: r.first + n}, adjacent, true
}

// largestRoom is the size in bytes of the largest run of chunks without owner.
func (a *Arena) largestRoom() uint64 {
	var n uint32
	a.rooms(0, uint32(len(a.chunks)), func(r room) bool { n = max(n, r.end-r.first); return true })
	return uint64(n) * chunkSize
}

// KindStats is the account of one kind. Spans of the kinds Stubs and Slots lie in
// the memory of Code and Data, so the figures from Mapped on are 0 for them.
type KindStats struct {
	Spans        int
	InUse        uint64 // bytes of live spans, rounded up to granules
	Writes       uint64 // calls of Write
	BytesWritten uint64
	Mapped       uint64 // bytes of address space that are accessible
	Touched      uint64 // bytes of pages that may hold memory
	Free         uint64 // bytes of free blocks
	LargestFree  uint64 // bytes of the largest of them
}

// Stats is the account of an arena.
type Stats struct {
	Reserved uint64 // bytes of address space
	Kinds    [NumKinds]KindStats
}

// Stats reads the account. Figures of different kinds are of the same moment,
// except those of writes. After Close all but the writes are 0.
func (a *Arena) Stats() Stats {
	var s Stats
	a.mu.Lock()
	defer a.mu.Unlock()
	for k := range s.Kinds {
		w := &a.writes[k]
		s.Kinds[k].Writes, s.Kinds[k].BytesWritten = w.calls.Load(), w.bytes.Load()
	}
	if a.closed.Load() {
		return s
	}
	s.Reserved = a.hi - a.lo
	for k := range s.Kinds {
		t := &s.Kinds[k]
		t.Spans, t.InUse = a.spans[k], a.inUse[k]
		if k == int(Stubs) || k == int(Slots) {
			continue
		}
		p := &a.pools[poolOf[k]]
		t.Mapped = uint64(p.grown) * chunkSize
		t.Touched = uint64(p.pages.touched) * vmem.PageSize
		t.Free = p.free.total << p.shift
		t.LargestFree = uint64(p.free.largest()) << p.shift
	}
	return s
}
