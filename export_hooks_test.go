//go:build livejit_hooks

package livejit

// SetHook has f called at each step of transactions and reclaiming of all engines, nil: nothing.
// Most steps are taken with the engine's lock held: there f must not call the engine.
func SetHook(f func(e *Engine, step string)) {
	if f == nil {
		testHook.Store(nil)
		return
	}
	testHook.Store(&f)
}
