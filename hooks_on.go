//go:build livejit_hooks

package livejit

import "sync/atomic"

// testHook is called at each step of transactions and reclaiming.
var testHook atomic.Pointer[func(e *Engine, step string)]

// hook marks a step of a transaction or of reclaiming.
func (e *Engine) hook(step string) {
	if f := testHook.Load(); f != nil {
		(*f)(e, step)
	}
}
