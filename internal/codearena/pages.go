package codearena

import (
	"slices"

	"livejit/internal/vmem"
)

// chunkSize is the unit in which address space is given to pools.
const chunkSize = 256 << 10

// A chunk is what is known about 256 KiB of a pool: 2 bytes a page, and one bit a
// granule once a span has begun in it.
type chunk struct {
	pool   *pool
	pages  [chunkSize / minPage]pageState
	begins []uint64 // a live span begins at that granule
}

// minPage is the smallest page size of a system we run on.
const minPage = 4096

// A pageState is the number of live granules of a page, and two marks.
type pageState uint16

const (
	// touched: something may have been written since the page last was zero.
	touched pageState = 1 << 15
	// queued: the page is in the pool's queue.
	queued pageState = 1 << 14

	liveMask = queued - 1
)

// pageCounts is the account of a pool's pages. Pages that became empty wait in a
// queue; only when more than keepDirty wait, all are given back at once. So
// replacing one function over and over makes no system call.
type pageCounts struct {
	touched int      // pages
	dirty   int      // touched pages without live granules
	queue   []uint32 // page numbers, some of them in use again by now
}

// keepDirty is the number of empty pages a pool keeps for reuse.
const keepDirty = 64

// directPages is the size of a span, in pages, from which on its pages are given
// back when it is freed, instead of being filled.
const directPages = 64

func (a *Arena) page(n uint32) *pageState {
	perChunk := uint32(chunkSize / vmem.PageSize)
	return &a.chunks[n/perChunk].pages[n%perChunk]
}

// eachPage calls f for each page that granules lie on, with how many do.
func (a *Arena) eachPage(p *pool, start, units uint32, f func(number uint32, page *pageState, n pageState)) {
	perPage := uint32(vmem.PageSize >> p.shift)
	for end := start + units; start < end; {
		number := start / perPage
		n := min(end, (number+1)*perPage) - start
		f(number, a.page(number), pageState(n))
		start += n
	}
}

// markLive notes a new span: its first granule, and its pages.
func (a *Arena) markLive(p *pool, start, units uint32) {
	perChunk := uint32(chunkSize >> p.shift)
	c := a.chunks[start/perChunk]
	if c.begins == nil {
		c.begins = make([]uint64, max(1, perChunk/64))
	}
	bit := start % perChunk
	c.begins[bit/64] |= 1 << (bit % 64)
	a.eachPage(p, start, units, func(_ uint32, page *pageState, n pageState) {
		switch {
		case *page&touched == 0:
			*page |= touched
			p.pages.touched++
		case *page&liveMask == 0:
			p.pages.dirty--
		}
		*page += n
	})
}

// owner is the pool that a granule belongs to; nil if none, or outside the arena.
func (a *Arena) owner(p *pool, at uint32) *pool {
	i := at / uint32(chunkSize>>p.shift)
	if i >= uint32(len(a.chunks)) || a.chunks[i] == nil {
		return nil
	}
	return a.chunks[i].pool
}

// begins reports whether a live span of the pool begins at a granule.
func (a *Arena) begins(p *pool, at uint32) bool {
	return a.owner(p, at) == p && !a.only(p, at, at+1)
}

// only reports whether [at, end) belongs to the pool and no live span begins in it.
func (a *Arena) only(p *pool, at, end uint32) bool {
	perChunk := uint32(chunkSize >> p.shift)
	for at < end {
		next := min(end, (at/perChunk+1)*perChunk)
		c := a.chunks[at/perChunk]
		if c == nil || c.pool != p {
			return false
		}
		for ; at < next && c.begins != nil; at = (at/64 + 1) * 64 {
			bit := at % perChunk
			word := c.begins[bit/64] >> (bit % 64)
			if n := next - at; n < 64 {
				word &= 1<<n - 1
			}
			if word != 0 {
				return false
			}
		}
		at = next
	}
	return true
}

// unmark forgets that a span begins at a granule.
func (a *Arena) unmark(p *pool, at uint32) {
	perChunk := uint32(chunkSize >> p.shift)
	bit := at % perChunk
	a.chunks[at/perChunk].begins[bit/64] &^= 1 << (bit % 64)
}

// given is the pages of a freed span that already went back to the system; it may be empty.
type given struct{ first, end uint32 }

// wipe fills a freed span so that neither code nor secrets stay, and data is zero
// for the next owner. The pages of a large one are given back instead, which costs less.
// The caller owns the memory; no lock is needed.
func (a *Arena) wipe(p *pool, addr, size uint64) (given, error) {
	v := byte(0)
	if p.access == vmem.Code {
		v = 0xcc // int3; on aarch64 an undefined instruction
	}
	first := (addr + vmem.PageSize - 1) &^ (vmem.PageSize - 1)
	end := (addr + size) &^ (vmem.PageSize - 1)
	if a.keepPages || first >= end || end-first < directPages*vmem.PageSize || a.space.GiveBack(p.access, first, end-first) != nil {
		return given{}, a.space.Fill(p.access, addr, size, v)
	}
	if err := a.space.Fill(p.access, addr, first-addr, v); err != nil {
		return given{}, err
	}
	if err := a.space.Fill(p.access, end, addr+size-end, v); err != nil {
		return given{}, err
	}
	return given{first: uint32((first - a.lo) / vmem.PageSize), end: uint32((end - a.lo) / vmem.PageSize)}, nil
}

// markFree takes a span off the account of its pages and queues those that became empty.
func (a *Arena) markFree(p *pool, start, units uint32, g given) {
	a.eachPage(p, start, units, func(number uint32, page *pageState, n pageState) {
		*page -= n
		switch {
		case *page&liveMask != 0:
		case number >= g.first && number < g.end:
			*page &^= touched
			p.pages.touched--
		default:
			p.pages.dirty++
			if *page&queued == 0 {
				*page |= queued
				p.pages.queue = append(p.pages.queue, number)
			}
		}
	})
}

// giveBack returns the pool's empty pages to the system if there are many.
func (a *Arena) giveBack(p *pool) {
	c := &p.pages
	if c.dirty <= keepDirty {
		return
	}
	slices.Sort(c.queue)
	for i := 0; i < len(c.queue); {
		first := c.queue[i]
		end := first
		for ; i < len(c.queue) && c.queue[i] == end; i++ {
			page := a.page(end)
			*page &^= queued
			if *page&liveMask != 0 || *page&touched == 0 {
				i++
				break
			}
			end++
		}
		if end == first {
			continue
		}
		// If the system refuses, the only loss is memory: the pages are filled already.
		_ = a.space.GiveBack(p.access, a.lo+uint64(first)*vmem.PageSize, uint64(end-first)*vmem.PageSize)
		for n := first; n < end; n++ {
			*a.page(n) &^= touched
		}
		c.touched -= int(end - first)
	}
	c.queue, c.dirty = c.queue[:0], 0
}
