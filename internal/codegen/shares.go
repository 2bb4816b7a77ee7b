package codegen

import (
	"context"
	"sync"
)

const (
	shareSize = 256 << 10 // bytes of source for each worker, below which reading it once more costs more than it saves
	maxShares = 4         // each has the whole module in memory while it works
)

// shares are the programs with which other workers compile a module together with the one that opened it. Each is opened from the
// same input in a context of its own, and compiles one share of the functions (llvm.Module.KeepShare).
type shares struct {
	cancel context.CancelFunc
	opened sync.WaitGroup
	others []share
}

type share struct {
	program *Program
	err     error
}

// openShares lets idle workers read in as well, if it pays. The caller has a place; it must close what it gets. nil: it does
// not pay.
func (c *LLVM) openShares(ctx context.Context, in Input) *shares {
	if !in.Whole || in.Form == Foreign {
		return nil
	}
	n := min(len(in.Data)/shareSize, maxShares, 1+cap(c.places)-len(c.places))
	if n < 2 {
		return nil
	}
	s := &shares{others: make([]share, n-1)}
	ctx, s.cancel = context.WithCancel(ctx)
	in.Whole, in.Keep = false, false
	for i := range s.others {
		s.opened.Go(func() { s.others[i].program, s.others[i].err = c.Open(ctx, in) })
	}
	return s
}

// close gives up what is not needed any more. A nil s is fine.
func (s *shares) close() {
	if s == nil {
		return
	}
	s.cancel()
	s.opened.Wait()
	for i := range s.others {
		if p := s.others[i].program; p != nil {
			p.Close()
			s.others[i].program = nil
		}
	}
}

// shareable says whether the module can be taken apart: nothing may refer to its parts that LLVM does not show.
func (p *Program) shareable() bool {
	return !p.Summary.ModuleAsm && len(p.Summary.IFuncs) == 0 && len(p.Summary.Functions) > 1
}

// compileShares compiles all shares at the same time, this program's the first. Only reading and compiling take
// places, waiting for the others takes none.
func (p *Program) compileShares(ctx context.Context) (*Compiled, error) {
	s := p.shares
	n := len(s.others) + 1
	parts, errs := make([]*Compiled, n), make([]error, n)
	var wait sync.WaitGroup
	compile := func(i int, from *Program) {
		var out *Compiled
		out, errs[i] = from.work(ctx, func(ctx context.Context) (*Compiled, error) {
			from.spent = true
			if err := from.module.KeepShare(i, n); err != nil {
				return nil, from.note(err)
			}
			return from.compileWhole(ctx)
		})
		if errs[i] == nil {
			parts[i], errs[i] = out.finish(p.in.Name)
		}
	}
	wait.Go(func() {
		s.opened.Wait()
		for i := range s.others {
			o := &s.others[i]
			if errs[i+1] = o.err; o.err == nil {
				wait.Go(func() { compile(i+1, o.program) })
			}
		}
	})
	compile(0, p)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			for _, part := range parts {
				if part != nil {
					part.Release()
				}
			}
			return nil, err
		}
	}
	out := parts[0]
	out.Rest = parts[1:]
	return out, nil
}
