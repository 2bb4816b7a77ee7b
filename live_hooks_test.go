//go:build livejit_hooks

package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"livejit"
)

// stopped is one step at which the first that comes to it waits.
type stopped struct {
	t       *testing.T
	step    string
	reached chan struct{}
	resume  func()
}

// patience is how long something may take that must happen at all.
const patience = 10 * time.Second

// stopAt stops the first goroutine of e that comes to a step.
func stopAt(t *testing.T, e *livejit.Engine, step string) *stopped {
	t.Helper()
	s := &stopped{t: t, step: step, reached: make(chan struct{})}
	resume := make(chan struct{})
	s.resume = sync.OnceFunc(func() { close(resume) })
	var taken atomic.Bool
	livejit.SetHook(func(of *livejit.Engine, at string) {
		if of == e && at == step && taken.CompareAndSwap(false, true) {
			close(s.reached)
			<-resume
		}
	})
	t.Cleanup(func() { livejit.SetHook(nil); s.resume() })
	return s
}

// wait waits until somebody has stopped.
func (s *stopped) wait() {
	s.t.Helper()
	select {
	case <-s.reached:
	case <-time.After(patience):
		s.t.Fatalf("nobody came to step %q", s.step)
	}
}

// receive waits for a value that must come.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("what must come did not come")
		panic("not reached")
	}
}

// start runs f in a goroutine and returns its error.
func start(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

func bind(t *testing.T, e *livejit.Engine, name string) func() (int64, error) {
	t.Helper()
	var f func() (int64, error)
	if err := e.Bind(name, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// consistent checks an engine after what a test did with it.
func consistent(t *testing.T, e *livejit.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	if err := e.Quiesce(ctx); err != nil {
		t.Error(err)
	}
	for _, wrong := range e.Check() {
		t.Error(wrong)
	}
}

// TestPublishStepByStep stops one transaction at each of its steps. It replaces f, which then calls h that
// is new with it, and g, which f calls before and after; it deletes d. Calls that come meanwhile must
// see old or new, and never a caller whose callee is missing. To see it fail, store the slots of
// new functions after those of changed ones in publish.
func TestPublishStepByStep(t *testing.T) {
	const old = "define i64 @f() { %r = call i64 @g()  ret i64 %r }\ndefine i64 @g() { ret i64 1 }"
	const now = `
		define i64 @f() { %a = call i64 @g()  %b = call i64 @h()  %r = add i64 %a, %b  ret i64 %r }
		define i64 @g() { ret i64 2 }
		define i64 @h() { %r = call i64 @i()  ret i64 %r }
		define internal i64 @i() { ret i64 10 }`
	for _, c := range []struct {
		step string
		want int64 // of f, at that step
	}{
		{"link", 1},
		{"register", 1},
		{"redirect f", 1},
		{"redirect g", 11}, // f is new, g is old
		{"redirect d", 12},
		{"names", 12},
		{"retired f", 12},
		{"retired g", 12},
		{"retired d", 12},
		{"published", 12},
		{"scan", 12},
		{"free", 12},
	} {
		t.Run(c.step, func(t *testing.T) {
			e := newEngine(t)
			held, leave := make(chan struct{}), make(chan struct{})
			release := sync.OnceFunc(func() { close(leave) })
			t.Cleanup(release)
			if err := e.Define("hold", func() { close(held); <-leave }); err != nil {
				t.Fatal(err)
			}
			add(t, e, "m", old)
			add(t, e, "d", "define i64 @d() { ret i64 7 }")
			add(t, e, "hold", "declare void @hold()\ndefine i64 @holds() { call void @hold()  ret i64 0 }")
			f, g, d, holds := bind(t, e, "f"), bind(t, e, "g"), bind(t, e, "d"), bind(t, e, "holds")
			inside := start(func() error { _, err := holds(); return err }) // so that old versions have to be looked for
			receive(t, held)
			stop := stopAt(t, e, c.step)
			done := start(func() error {
				_, err := e.Update(background, func(u *livejit.Update) error {
					u.Replace(livejit.IR("m", now))
					u.Delete("d")
					return nil
				})
				if err == nil {
					err = e.Quiesce(background)
				}
				return err
			})
			stop.wait()
			calls := start(func() error { // a callee that is missing makes them wait for the lock
				for range 100 {
					if v, err := f(); err != nil || v != c.want {
						return fmt.Errorf("f() = %d, %v, want %d", v, err, c.want)
					}
					if v, err := g(); err != nil || v != 1 && v != 2 {
						return fmt.Errorf("g() = %d, %v", v, err)
					}
				}
				return nil
			})
			if err := receive(t, calls); err != nil {
				t.Error(err)
			}
			deleted := start(func() error { _, err := d(); return err }) // may have to wait for the lock
			stop.resume()
			var gone *livejit.DeletedError
			if err := receive(t, deleted); err != nil && !errors.As(err, &gone) {
				t.Errorf("d() = %v", err)
			}
			release() // until then the stub of d has to wait
			if err := receive(t, done); err != nil {
				t.Error(err)
			}
			if err := receive(t, inside); err != nil {
				t.Error(err)
			}
			if v, err := f(); v != 12 || err != nil {
				t.Errorf("f() = %d, %v", v, err)
			}
			if _, err := d(); !errors.As(err, &gone) {
				t.Errorf("d() = %v, want a DeletedError", err)
			}
			consistent(t, e)
		})
	}
}

// TestOvertaken: while one transaction waits to be linked, others do something about the same names. Both
// end, and the state is that of doing one after the other.
func TestOvertaken(t *testing.T) {
	const old = "define i64 @f() { %r = call i64 @k()  ret i64 %r }\ndefine i64 @k() { ret i64 1 }\n"
	const now = "define i64 @f() { %a = call i64 @k()  %r = add i64 %a, 100  ret i64 %r }\ndefine i64 @k() { ret i64 1 }\n"
	for _, c := range []struct {
		name  string
		first string // what is loaded under the name m
		slow  string // what the transaction replaces m by
		quick func(t *testing.T, e *livejit.Engine) error
		err   error // of the slow one
		want  int64 // of f
	}{
		{"nothing", old, now, func(*testing.T, *livejit.Engine) error { return nil }, nil, 101},
		{"the same function", old, now, replaces("m", strings.Replace(old, "ret i64 %r", "%s = add i64 %r, 50  ret i64 %s", 1)), nil, 101},
		{"the same code", old, now, replaces("m", now), nil, 101},
		{"what the slow one left as it is", old, now, replaces("m", strings.Replace(old, "ret i64 1", "ret i64 2", 1)), nil, 101},
		{"invalidated", old, now, func(_ *testing.T, e *livejit.Engine) error { return e.Invalidate("f", "k") }, nil, 101},
		{"deleted", old, now, func(_ *testing.T, e *livejit.Engine) error { return e.Delete(background, "f") }, nil, 101},
		{"both deleted", old, now, func(_ *testing.T, e *livejit.Engine) error { return e.Delete(background, "f", "k") }, nil, 101},
		{"force-deleted callee", old, now, func(_ *testing.T, e *livejit.Engine) error {
			_, err := e.Update(background, func(u *livejit.Update) error { u.ForceDelete("k"); return nil })
			return err
		}, nil, 101},
		{"module closed", old, now, func(_ *testing.T, e *livejit.Engine) error { return e.Function("f").Module().Close() }, nil, 101},
		{"module closed and loaded again", old, now, func(t *testing.T, e *livejit.Engine) error {
			err := e.Function("f").Module().Close()
			add(t, e, "m", old)
			return err
		}, nil, 101},
		{"loaded meanwhile", "", now, func(t *testing.T, e *livejit.Engine) error { add(t, e, "m", old); return nil }, nil, 101},
		{"another type", old, now, replaces("m", "define i32 @f() { ret i32 5 }\ndefine i64 @k() { ret i64 1 }"), nil, 101},
		{"engine closed", old, now, func(_ *testing.T, e *livejit.Engine) error { return e.Close() }, livejit.ErrClosed, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(t)
			if c.first != "" {
				add(t, e, "m", c.first)
			}
			stop := stopAt(t, e, "link")
			done := start(func() error { _, err := e.Replace(background, livejit.IR("m", c.slow)); return err })
			stop.wait()
			if err := c.quick(t, e); err != nil {
				t.Fatal(err)
			}
			stop.resume()
			if err := receive(t, done); !errors.Is(err, c.err) {
				t.Fatalf("the slow transaction: %v", err)
			}
			if c.err != nil {
				return
			}
			if got := call(t, e, "f"); got != c.want {
				t.Errorf("f() = %d, want %d", got, c.want)
			}
			consistent(t, e)
			if n := len(e.Modules()); n != 1 {
				t.Errorf("there are %d modules", n)
			}
		})
	}
}

func replaces(name, text string) func(*testing.T, *livejit.Engine) error {
	return func(_ *testing.T, e *livejit.Engine) error {
		_, err := e.Replace(background, livejit.IR(name, text))
		return err
	}
}

// TestOvertakenStatics: a source that two transactions bring at the same time, and that was not loaded
// before, becomes one module: its static variable is there once.
func TestOvertakenStatics(t *testing.T) {
	const text = "@n = internal global i64 0\ndefine i64 @next() { %a = load i64, ptr @n  %b = add i64 %a, STEP  store i64 %b, ptr @n  ret i64 %b }"
	e := newEngine(t)
	stop := stopAt(t, e, "link")
	done := start(func() error {
		_, err := e.Replace(background, livejit.IR("m", strings.Replace(text, "STEP", "10", 1)))
		return err
	})
	stop.wait()
	replaceIR(t, e, "m", strings.Replace(text, "STEP", "1", 1))
	if got := call(t, e, "next"); got != 1 {
		t.Errorf("next() = %d", got)
	}
	stop.resume()
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
	if got := call(t, e, "next"); got != 11 {
		t.Errorf("next() = %d, want 11: the variable lost its value", got)
	}
	if n := len(e.Modules()); n != 1 {
		t.Errorf("there are %d modules", n)
	}
	consistent(t, e)
}

// TestBusy stops a quiescent transaction that found a thread inside, and lets others change the
// function then.
func TestBusy(t *testing.T) {
	e := newEngine(t)
	entered, leave := make(chan bool), make(chan bool)
	if err := e.Define("wait", func() { entered <- true; <-leave }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "m", "declare void @wait()\ndefine i64 @f() { call void @wait()  ret i64 1 }\ndefine i64 @g() { ret i64 1 }")
	f, g := bind(t, e, "f"), bind(t, e, "g")
	result := make(chan int64, 1)
	inside := start(func() error { v, err := f(); result <- v; return err })
	receive(t, entered)
	stop := stopAt(t, e, "busy")
	done := start(func() error {
		_, err := e.Update(background, func(u *livejit.Update) error {
			u.Replace(livejit.IR("m", "define i64 @f() { ret i64 2 }\ndefine i64 @g() { ret i64 2 }"))
			u.Quiescent()
			return nil
		})
		return err
	})
	stop.wait()
	if v, err := g(); v != 1 || err != nil {
		t.Errorf("g() = %d, %v while the transaction waits", v, err)
	}
	replaceIR(t, e, "m", "define i64 @g() { ret i64 3 }")
	if v, err := g(); v != 3 || err != nil {
		t.Errorf("g() = %d, %v, want 3", v, err)
	}
	leave <- true
	if err := receive(t, inside); err != nil || <-result != 1 {
		t.Error("the call that was inside:", err)
	}
	stop.resume()
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
	if a, b := call(t, e, "f"), call(t, e, "g"); a != 2 || b != 2 {
		t.Errorf("f() = %d, g() = %d, want 2, 2", a, b)
	}
	consistent(t, e)
}

// TestFirstCallMeets: a first call is on its way, its function compiled and not linked yet, when something
// else happens to the function.
func TestFirstCallMeets(t *testing.T) {
	const text = "define i64 @f() { %r = call i64 @k()  ret i64 %r }\ndefine i64 @k() { ret i64 1 }\n"
	for _, c := range []struct {
		name  string
		quick func(e *livejit.Engine) error
		want  int64 // of the call that was on its way; -1: a DeletedError
		after int64 // of a call afterwards
	}{
		{"nothing", func(*livejit.Engine) error { return nil }, 1, 1},
		{"replace", func(e *livejit.Engine) error {
			_, err := e.Replace(background, livejit.IR("m", strings.Replace(text, "ret i64 %r", "ret i64 20", 1)))
			return err
		}, 20, 20},
		{"invalidate", func(e *livejit.Engine) error { return e.Invalidate("f") }, 1, 1},
		{"replace and invalidate", func(e *livejit.Engine) error {
			_, err := e.Replace(background, livejit.IR("m", strings.Replace(text, "ret i64 %r", "ret i64 20", 1)))
			return errors.Join(err, e.Invalidate("f"))
		}, 20, 20},
		{"force-delete", func(e *livejit.Engine) error {
			_, err := e.Update(background, func(u *livejit.Update) error { u.ForceDelete("f"); return nil })
			return err
		}, -1, -1},
		{"delete", func(e *livejit.Engine) error { return e.Delete(background, "f") }, -1, -1},
		{"delete and add", func(e *livejit.Engine) error {
			if err := e.Delete(background, "f"); err != nil {
				return err
			}
			_, err := e.Add(background, livejit.IR("other", "define i64 @f() { ret i64 30 }"))
			return err
		}, -2, 30},
		{"close the module", func(e *livejit.Engine) error { return e.Function("f").Module().Close() }, -1, -1},
		{"force-delete the callee", func(e *livejit.Engine) error {
			_, err := e.Update(background, func(u *livejit.Update) error { u.ForceDelete("k"); return nil })
			return err
		}, -2, -2},
		{"another type", func(e *livejit.Engine) error {
			_, err := e.Replace(background, livejit.IR("m", "define i32 @f() { ret i32 40 }\ndefine i64 @k() { ret i64 1 }\n"))
			return err
		}, -2, -2},
	} {
		for _, way := range []string{"lazy", "invalidated"} {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				var options []livejit.Option
				if way == "lazy" {
					options = append(options, livejit.WithLazy())
				}
				e := newEngine(t, options...)
				add(t, e, "m", text)
				if way == "invalidated" {
					if err := e.Invalidate("f"); err != nil {
						t.Fatal(err)
					}
				}
				f := bind(t, e, "f")
				stop := stopAt(t, e, "link")
				type answer struct {
					v   int64
					err error
				}
				answers := make(chan answer, 3)
				for range cap(answers) { // one compiles, the others wait for it
					go func() { v, err := f(); answers <- answer{v, err} }()
				}
				stop.wait()
				if err := c.quick(e); err != nil {
					t.Fatal(err)
				}
				stop.resume()
				var gone *livejit.DeletedError
				for range cap(answers) {
					a := receive(t, answers)
					switch {
					case c.want >= 0 && (a.v != c.want || a.err != nil):
						t.Errorf("the call on its way: %d, %v, want %d", a.v, a.err, c.want)
					case c.want == -1 && !errors.As(a.err, &gone):
						t.Errorf("the call on its way: %d, %v, want a DeletedError", a.v, a.err)
					case c.want == -2:
						t.Logf("the call on its way: %d, %v", a.v, a.err)
					}
				}
				switch got, err := e.Call(background, "f"); {
				case c.after >= 0 && (got != c.after || err != nil):
					t.Errorf("f() = %v, %v afterwards, want %d", got, err, c.after)
				case c.after == -1 && err == nil:
					t.Errorf("f() = %v afterwards, want an error", got)
				}
				consistent(t, e)
			})
		}
	}
}

// TestFreeMeetsPin: between the look at the stacks and the freeing, pins come and go. A version that was
// pinned while it was current stays, whenever it is replaced.
func TestFreeMeetsPin(t *testing.T) {
	e := newEngine(t)
	add(t, e, "m", "define i64 @f() { ret i64 1 }")
	f := e.Function("f")
	entered, leave := make(chan bool), make(chan bool)
	if err := e.Define("wait", func() { entered <- true; <-leave }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "holds", "declare void @wait()\ndefine i64 @holds() { call void @wait()  ret i64 1 }")
	holds := bind(t, e, "holds")
	inside := start(func() error { _, err := holds(); return err })
	receive(t, entered)
	first, err := f.Pin()
	if err != nil {
		t.Fatal(err)
	}
	replaceIR(t, e, "m", "define i64 @f() { ret i64 2 }")
	stop := stopAt(t, e, "scan")
	done := start(func() error {
		ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
		defer cancel()
		return e.Quiesce(ctx)
	})
	stop.wait()
	second, err := f.Pin()
	if err != nil {
		t.Fatal(err)
	}
	stepped := start(func() error { // what follows a replacement reclaims, too, and waits for its turn
		_, err := e.Replace(background, livejit.IR("m", "define i64 @f() { ret i64 3 }"))
		return err
	})
	for call(t, e, "f") != 3 {
	}
	code := bytesAt(uint64(second.Version().Addr), 4)
	before := fmt.Sprintf("%x", code)
	stop.resume()
	var held *livejit.QuiescenceError
	if err := receive(t, done); !errors.As(err, &held) {
		t.Errorf("Quiesce with two pins: %v", err)
	}
	if err := receive(t, stepped); err != nil {
		t.Error(err)
	}
	if v := f.Versions(); len(v) != 3 || v[0].Pins != 1 || v[1].Pins != 1 || !v[2].Current {
		t.Errorf("versions %+v", v)
	}
	if now := fmt.Sprintf("%x", code); now != before {
		t.Errorf("the code of a pinned version was %s and is %s", before, now)
	}
	first.Release()
	second.Release()
	leave <- true
	if err := receive(t, inside); err != nil {
		t.Error(err)
	}
	consistent(t, e)
	if v := f.Versions(); len(v) != 1 {
		t.Errorf("versions %+v after the pins were released", v)
	}
}

// TestCloseMeetsTransaction closes modules and the engine while a transaction of another name waits under no lock.
func TestCloseMeetsTransaction(t *testing.T) {
	e := newEngine(t)
	m := add(t, e, "m", "define i64 @f() { ret i64 1 }")
	stop := stopAt(t, e, "link")
	done := start(func() error {
		_, err := e.Add(background, livejit.IR("user", "declare i64 @f()\ndefine i64 @user() { %r = call i64 @f()  ret i64 %r }"))
		return err
	})
	stop.wait()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	stop.resume()
	var undefined *livejit.UndefinedError
	if err := receive(t, done); !errors.As(err, &undefined) {
		t.Errorf("Add = %v, want an UndefinedError", err)
	}
	consistent(t, e)
}
