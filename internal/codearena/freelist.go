package codearena

import "math/bits"

// A freeList keeps the free blocks of one pool, in granules from the start of the
// arena: in lists by size class, and by both their ends so that a block that comes
// back finds its neighbours. A node is 16 bytes and holds no pointer.
//
// Sizes to 64 granules have a class each, so that a freed function's room is found
// by the next version of equal size at once. Above, eight classes share each power of two.
type freeList struct {
	nodes  []node
	unused uint32            // first of the nodes not in use, linked by next
	begins map[uint32]uint32 // first granule → node
	ends   map[uint32]uint32 // granule after the last → node
	heads  [numClasses]uint32
	filled [(numClasses + 63) / 64]uint64 // classes that have a block
	total  uint64                         // granules
}

// node 0 stands for "no node".
type node struct{ start, size, prev, next uint32 }

const (
	exactClasses = 64
	numClasses   = exactClasses + 8*(32-6)

	// none is no granule: an arena has at most 2^28.
	none = ^uint32(0)

	// quickProbes is how many blocks of a list are looked at when not all are sure to fit.
	quickProbes = 12
	allProbes   = int(^uint(0) >> 1)
)

// class is the list in which a block of that size is kept; larger sizes never have a smaller class.
func class(size uint32) int {
	if size <= exactClasses {
		return int(size) - 1
	}
	e := bits.Len32(size) - 1
	return exactClasses + (e-6)*8 + int(size>>(e-3)&7)
}

// insert adds a block and joins it with its free neighbours.
func (f *freeList) insert(start, size uint32) {
	if f.begins == nil {
		f.begins, f.ends = map[uint32]uint32{}, map[uint32]uint32{}
		f.nodes = make([]node, 1, 8)
	}
	if n, ok := f.ends[start]; ok {
		start, size = f.nodes[n].start, size+f.nodes[n].size
		f.remove(n)
	}
	if n, ok := f.begins[start+size]; ok {
		size += f.nodes[n].size
		f.remove(n)
	}
	n := f.unused
	if n != 0 {
		f.unused = f.nodes[n].next
	} else {
		n = uint32(len(f.nodes))
		f.nodes = append(f.nodes, node{})
	}
	c := class(size)
	head := f.heads[c]
	f.nodes[n] = node{start: start, size: size, next: head}
	if head != 0 {
		f.nodes[head].prev = n
	}
	f.heads[c] = n
	f.filled[c/64] |= 1 << (c % 64)
	f.begins[start], f.ends[start+size] = n, n
	f.total += uint64(size)
}

// remove takes a block out.
func (f *freeList) remove(n uint32) {
	b := f.nodes[n]
	delete(f.begins, b.start)
	delete(f.ends, b.start+b.size)
	if b.next != 0 {
		f.nodes[b.next].prev = b.prev
	}
	c := class(b.size)
	if b.prev != 0 {
		f.nodes[b.prev].next = b.next
	} else if f.heads[c] = b.next; b.next == 0 {
		f.filled[c/64] &^= 1 << (c % 64)
	}
	f.total -= uint64(b.size)
	f.nodes[n] = node{next: f.unused}
	f.unused = n
}

// take cuts size granules out of a free block, at a multiple of align. It prefers
// the smallest class that has one and looks at no more than probes blocks of each.
func (f *freeList) take(size, align uint32, probes int) uint32 {
	for c := f.nextFilled(class(size)); c < numClasses; c = f.nextFilled(c + 1) {
		left := probes
		for n := f.heads[c]; n != 0 && left > 0; n, left = f.nodes[n].next, left-1 {
			b := f.nodes[n]
			at := (b.start + align - 1) &^ (align - 1)
			if skip := at - b.start; skip > b.size || b.size-skip < size {
				continue
			}
			f.remove(n)
			if at > b.start {
				f.insert(b.start, at-b.start)
			}
			if end := b.start + b.size; end > at+size {
				f.insert(at+size, end-at-size)
			}
			return at
		}
	}
	return none
}

// nextFilled is the first class from c on that has a block, or numClasses.
func (f *freeList) nextFilled(c int) int {
	for w := c / 64; w < len(f.filled); w++ {
		word := f.filled[w]
		if w == c/64 {
			word = word >> (c % 64) << (c % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return numClasses
}

// largest is the size of the largest block.
func (f *freeList) largest() uint32 {
	for w := len(f.filled) - 1; w >= 0; w-- {
		if f.filled[w] == 0 {
			continue
		}
		var size uint32
		for n := f.heads[w*64+bits.Len64(f.filled[w])-1]; n != 0; n = f.nodes[n].next {
			size = max(size, f.nodes[n].size)
		}
		return size
	}
	return 0
}

// endingAt is the size of the free block that ends before a granule, 0 if none does.
func (f *freeList) endingAt(end uint32) uint32 {
	if n, ok := f.ends[end]; ok {
		return f.nodes[n].size
	}
	return 0
}

// beginningAt is the size of the free block that begins with a granule, 0 if none does.
func (f *freeList) beginningAt(start uint32) uint32 {
	if n, ok := f.begins[start]; ok {
		return f.nodes[n].size
	}
	return 0
}
