package codearena

// Extent is a run of neighbouring chunks that belong to one pool: [Lo, Hi).
type Extent struct {
	Lo, Hi uint64
	Kind   Kind // Code, ReadOnly or Data: the pool that it belongs to, stubs and slots included
}

// Pools returns what has been given to the pools so far, by address.
func (a *Arena) Pools() []Extent {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Extent
	kinds := [numPools]Kind{codePool: Code, readOnlyPool: ReadOnly, dataPool: Data}
	for i, c := range a.chunks {
		if c == nil {
			continue
		}
		var kind Kind
		for n := range a.pools {
			if c.pool == &a.pools[n] {
				kind = kinds[n]
			}
		}
		lo := a.lo + uint64(i)*chunkSize
		if n := len(list) - 1; n >= 0 && list[n].Hi == lo && list[n].Kind == kind {
			list[n].Hi += chunkSize
		} else {
			list = append(list, Extent{Lo: lo, Hi: lo + chunkSize, Kind: kind})
		}
	}
	return list
}
