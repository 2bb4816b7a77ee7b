package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"livejit"
)

// replaceIR replaces by IR text.
func replaceIR(t testing.TB, e *livejit.Engine, name, text string) *livejit.Result {
	t.Helper()
	r, err := e.Replace(background, livejit.IR(name, text))
	if err != nil {
		t.Fatalf("replace %s: %+v", name, err)
	}
	return r
}

// verdicts returns a result's verdicts, one line each.
func verdicts(r *livejit.Result) string {
	if r == nil {
		return ""
	}
	var lines []string
	for _, v := range r.Verdicts {
		lines = append(lines, v.String())
	}
	return strings.Join(lines, "\n")
}

func wantVerdicts(t testing.TB, r *livejit.Result, want ...string) {
	t.Helper()
	if got := verdicts(r); got != strings.Join(want, "\n") {
		t.Errorf("verdicts:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestReplace(t *testing.T) {
	e := newEngine(t)
	add(t, e, "g", "define i64 @g(i64 %x) { %r = add i64 %x, 1  ret i64 %r }")
	add(t, e, "f", "declare i64 @g(i64)\ndefine i64 @f(i64 %x) { %r = call i64 @g(i64 %x)  ret i64 %r }")
	var f func(int64) (int64, error)
	if err := e.Bind("f", &f); err != nil {
		t.Fatal(err)
	}
	address := e.Function("g").Addr()
	for i := int64(2); i < 20; i++ {
		r := replaceIR(t, e, "g", fmt.Sprintf("define i64 @g(i64 %%x) { %%r = add i64 %%x, %d  ret i64 %%r }", i))
		wantVerdicts(t, r, fmt.Sprintf("replaced g@%d", i))
		if v, err := f(100); v != 100+i || err != nil {
			t.Fatalf("f(100) = %d, %v after replacement %d", v, err, i)
		}
	}
	if got := e.Function("g").Addr(); got != address {
		t.Errorf("the address of g was %#x and is %#x", address, got)
	}
	wantVerdicts(t, replaceIR(t, e, "g", "define i64 @g(i64 %renamed) { entry: %s = add i64 %renamed, 19  ret i64 %s }"), "unchanged g@19")
	if s := e.Stats(); s.Retired != 0 || s.Reclaimed != 18 || s.Functions != 2 || s.Modules != 2 {
		t.Errorf("%+v", s)
	}
	r := replaceIR(t, e, "g", "define i64 @g(i64 %x) { ret i64 %x }\ndefine i64 @h() { ret i64 5 }\n@v = global i64 3")
	wantVerdicts(t, r, "replaced g@20", "added h@1", "added v")
	if got := call(t, e, "h"); got != 5 {
		t.Errorf("h() = %d", got)
	}
}

// TestReplaceFollowsConstant: a function that did not change is compiled again if the constant it uses is replaced with it, and only then.
// Leaving followSuccessors out makes it fail.
func TestReplaceFollowsConstant(t *testing.T) {
	e := newEngine(t)
	const limit = "@limit = external constant i64\n"
	const first, second = "define i64 @first() { %v = load i64, ptr @limit  ret i64 %v }\n", "define i64 @second() { %v = load i64, ptr @limit  ret i64 %v }\n"
	add(t, e, "k", "@limit = constant i64 5")
	add(t, e, "first", limit+first)
	add(t, e, "second", limit+second)
	r, err := e.Replace(background, livejit.IR("k", "@limit = constant i64 6"), livejit.IR("first", limit+first))
	if err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, r, "replaced limit: a constant; what is bound to the old one stays so", "replaced first@2: limit was replaced, which it uses")
	if a, b := call(t, e, "first"), call(t, e, "second"); a != 6 || b != 5 {
		t.Errorf("first() = %d, second() = %d; want 6 and 5", a, b)
	}
}

func TestReplaceVariables(t *testing.T) {
	e := newEngine(t)
	const before = `
		@count = global i64 10
		@hidden = internal global i64 100
		@table = internal constant [2 x i64] [i64 7, i64 8]
		define i64 @next() {
		  %a = load i64, ptr @count
		  %b = add i64 %a, 1
		  store i64 %b, ptr @count
		  %c = load i64, ptr @hidden
		  %d = add i64 %c, 1
		  store i64 %d, ptr @hidden
		  %e = load i64, ptr getelementptr ([2 x i64], ptr @table, i64 0, i64 1)
		  %f = add i64 %b, %d
		  %g = add i64 %e, %f
		  ret i64 %g
		}`
	add(t, e, "m", before)
	if got := call(t, e, "next"); got != 11+101+8 {
		t.Fatalf("next() = %d", got)
	}
	after := strings.NewReplacer("@count = global i64 10", "@count = global i64 55", "i64 8]", "i64 9]").Replace(before)
	r := replaceIR(t, e, "m", after)
	wantVerdicts(t, r, "replaced next@2", "kept count: its initialiser changed; it keeps its value", "unchanged hidden",
		"replaced table: a constant; what is bound to the old one stays so")
	if got := call(t, e, "next"); got != 12+102+9 {
		t.Errorf("next() = %d, want %d", got, 12+102+9)
	}
	wantVerdicts(t, replaceIR(t, e, "m", after), "unchanged next@2", "unchanged count", "unchanged hidden", "unchanged table")

	grown := strings.Replace(after, "@count = global i64 55", "@count = global [2 x i64] zeroinitializer", 1)
	state := inUse(e)
	r, err := e.Replace(background, livejit.IR("m", grown))
	var refused *livejit.RefusedError
	if !errors.As(err, &refused) || refused.Name != "count" || refused.Reason != "it grew from 8 to 16 bytes" {
		t.Errorf("a variable that grew: %v", err)
	}
	if v, _ := r.Verdict("count"); v.Outcome != livejit.Refused {
		t.Errorf("the verdict about count: %v", v)
	}
	if now := inUse(e); fmt.Sprint(now) != fmt.Sprint(state) {
		t.Errorf("a refusal changed the engine:\n%+v\n%+v", now, state)
	}
	r, err = e.Update(background, func(u *livejit.Update) error {
		u.Replace(livejit.IR("m", grown))
		u.Migrate("count", func(old, new []byte) error {
			if len(old) != 8 || len(new) != 16 {
				t.Errorf("migration of %d to %d bytes", len(old), len(new))
			}
			copy(new, old)
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, verdicts(r))
	}
	if got := call(t, e, "next"); got != 13+103+9 {
		t.Errorf("next() = %d, want %d", got, 13+103+9)
	}
}

func TestReplaceType(t *testing.T) {
	e := newEngine(t)
	add(t, e, "m", "define i64 @g(i64 %x) { ret i64 %x }\ndefine i64 @f(i64 %x) { %r = call i64 @g(i64 %x)  ret i64 %r }")
	var g func(int64) (int64, error)
	if err := e.Bind("g", &g); err != nil {
		t.Fatal(err)
	}
	var refused *livejit.RefusedError
	if _, err := e.Replace(background, livejit.IR("m", "define i64 @g(i64 %x, i64 %y) { ret i64 %y }")); !errors.As(err, &refused) || len(refused.Referrers) != 1 || refused.Referrers[0] != "f (m)" {
		t.Errorf("another type: %v", err)
	}
	if v, err := g(4); v != 4 || err != nil {
		t.Errorf("after the refusal g(4) = %d, %v", v, err)
	}
	replaceIR(t, e, "m", "define i64 @g(i64 %x, i64 %y) { ret i64 %y }\ndefine i64 @f(i64 %x) { %r = call i64 @g(i64 %x, i64 9)  ret i64 %r }")
	if got := call(t, e, "f", 1); got != 9 {
		t.Errorf("f(1) = %d, want 9", got)
	}
	var mismatch *livejit.SignatureError
	if _, err := g(4); !errors.As(err, &mismatch) {
		t.Errorf("a call with the old type: %v, want a SignatureError", err)
	}
}

func TestDelete(t *testing.T) {
	e := newEngine(t)
	add(t, e, "g", "define i64 @g() { ret i64 1 }")
	add(t, e, "f", "declare i64 @g()\ndefine i64 @f() { %r = call i64 @g()  ret i64 %r }")
	var inUseError *livejit.InUseError
	if err := e.Delete(background, "g"); !errors.As(err, &inUseError) || len(inUseError.Referrers) != 1 {
		t.Errorf("delete what f calls: %v", err)
	}
	force := func(names ...string) {
		t.Helper()
		if _, err := e.Update(background, func(u *livejit.Update) error { u.ForceDelete(names...); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var f func() (int64, error)
	if err := e.Bind("f", &f); err != nil {
		t.Fatal(err)
	}
	for i := int64(2); i < 10; i++ {
		force("g")
		var deleted *livejit.DeletedError
		if _, err := f(); !errors.As(err, &deleted) || deleted.Name != "g" {
			t.Fatalf("f() after g was deleted: %v", err)
		}
		if e.Function("g") != nil {
			t.Fatal("g is still there")
		}
		add(t, e, fmt.Sprint("g", i), fmt.Sprintf("define i64 @g() { ret i64 %d }", i))
		if v, err := f(); v != i || err != nil {
			t.Fatalf("f() = %d, %v after g was defined again", v, err)
		}
	}
	if _, err := e.Update(background, func(u *livejit.Update) error { u.Delete("g", "f"); return nil }); err != nil {
		t.Fatal(err)
	}
	var deleted *livejit.DeletedError
	if _, err := f(); !errors.As(err, &deleted) || deleted.Name != "f" {
		t.Errorf("f() after it was deleted: %v", err)
	}
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Functions != 0 || s.Stubs != 0 || s.Symbols != 0 || s.Memory["code"].Bytes != 0 {
		t.Errorf("something is left: %+v", s)
	}
}

func TestInvalidate(t *testing.T) {
	e := newEngine(t)
	add(t, e, "m", "@n = internal global i64 0\ndefine internal i64 @g(i64 %x) { %a = load i64, ptr @n  %b = add i64 %a, %x  store i64 %b, ptr @n  ret i64 %b }\ndefine i64 @f(i64 %x) { %r = call i64 @g(i64 %x)  ret i64 %r }")
	if got := call(t, e, "f", 3); got != 3 {
		t.Fatalf("f(3) = %d", got)
	}
	code := e.Stats().Memory["code"].Bytes
	if err := e.Invalidate("f", "m:g"); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Pending != 2 || s.Memory["code"].Bytes >= code || s.Retired != 0 {
		t.Errorf("after Invalidate: %+v", s)
	}
	if got := call(t, e, "f", 4); got != 7 {
		t.Errorf("f(4) = %d, want 7", got)
	}
	if s := e.Stats(); s.Pending != 0 {
		t.Errorf("after the call: %+v", s)
	}
	if v := e.Function("f").Version(); v != 2 {
		t.Errorf("f is version %d, want 2", v)
	}
	if err := e.Invalidate("nothing"); !errors.Is(err, livejit.ErrNotFound) {
		t.Errorf("Invalidate of nothing: %v", err)
	}
}

func TestLazy(t *testing.T) {
	e, err := livejit.New(livejit.WithLazy())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	add(t, e, "m", `
		@n = internal global i64 5
		@p = global ptr @h
		declare i64 @missing()
		define internal i64 @g(i64 %x) { %a = load i64, ptr @n  %b = add i64 %a, %x  ret i64 %b }
		define i64 @h(i64 %x) { %r = mul i64 %x, 2  ret i64 %r }
		define i64 @f(i64 %x) { %r = call i64 @g(i64 %x)  %q = load ptr, ptr @p  %s = call i64 %q(i64 %r)  ret i64 %s }
		define i64 @bad() { %r = call i64 @missing()  ret i64 %r }
		@alias = alias i64 (i64), ptr @h`)
	if s := e.Stats(); s.Pending != 4 || s.Memory["code"].Bytes != 0 {
		t.Errorf("after Add: %+v", s)
	}
	if got := call(t, e, "f", 1); got != 12 {
		t.Errorf("f(1) = %d, want 12", got)
	}
	if got := call(t, e, "alias", 4); got != 8 {
		t.Errorf("alias(4) = %d, want 8", got)
	}
	var undefined *livejit.UndefinedError
	for range 2 {
		if _, err := e.Call(background, "bad"); !errors.As(err, &undefined) || !strings.Contains(err.Error(), "bad") {
			t.Errorf("bad() = %v, want an UndefinedError", err)
		}
	}
	add(t, e, "missing", "define i64 @missing() { ret i64 77 }")
	if got := call(t, e, "bad"); got != 77 {
		t.Errorf("bad() = %d, want 77", got)
	}
}

// insideF adds f, with more, as module m, has a goroutine call it, and returns when that is
// inside: f waits until it is sent something on leave, and done gets its result, 1.
func insideF(t *testing.T, e *livejit.Engine, more string) (leave chan<- bool, done <-chan int64) {
	t.Helper()
	entered, left, result := make(chan bool), make(chan bool), make(chan int64)
	if err := e.Define("wait", func() { entered <- true; <-left }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "m", "declare void @wait()\ndefine i64 @f() { call void @wait()  ret i64 1 }\n"+more)
	go func() { result <- call(t, e, "f") }()
	<-entered
	return left, result
}

func TestQuiescent(t *testing.T) {
	e := newEngine(t)
	leave, done := insideF(t, e, "define i64 @g() { ret i64 1 }")
	quiescent := func(ctx context.Context, text string) error {
		_, err := e.Update(ctx, func(u *livejit.Update) error {
			u.Replace(livejit.IR("m", text))
			u.Quiescent()
			return nil
		})
		return err
	}
	if err := quiescent(background, "define i64 @g() { ret i64 2 }"); err != nil {
		t.Fatal(err)
	}
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	state := inUse(e)
	ctx, cancel := context.WithTimeout(background, 500*time.Millisecond)
	defer cancel()
	const next = "define i64 @f() { ret i64 2 }\ndefine i64 @g() { ret i64 3 }"
	err := quiescent(ctx, next)
	var busy *livejit.QuiescenceError
	if !errors.As(err, &busy) || !errors.Is(err, context.DeadlineExceeded) || busy.Function != "f" || busy.Thread == 0 {
		t.Errorf("a quiescent replacement of what is running: %v", err)
	}
	if now := inUse(e); fmt.Sprint(now) != fmt.Sprint(state) {
		t.Errorf("it changed the engine:\n%+v\n%+v", now, state)
	}
	if got := call(t, e, "g"); got != 2 {
		t.Errorf("g() = %d, want 2", got)
	}
	published := make(chan error)
	go func() { published <- quiescent(background, next) }()
	leave <- true
	if got := <-done; got != 1 {
		t.Errorf("f() = %d, want 1", got)
	}
	if err := <-published; err != nil {
		t.Error(err)
	}
	if f, g := call(t, e, "f"), call(t, e, "g"); f != 2 || g != 3 {
		t.Errorf("f() = %d, g() = %d, want 2 and 3", f, g)
	}
}

func TestWhyAlive(t *testing.T) {
	e := newEngine(t)
	leave, done := insideF(t, e, "")
	f := e.Function("f")
	pin, err := f.Pin()
	if err != nil {
		t.Fatal(err)
	}
	replaceIR(t, e, "m", "define i64 @f() { ret i64 2 }")
	roots := f.WhyAlive()
	if len(roots) != 2 || roots[0].Kind != livejit.RootThread || roots[0].Version != 1 || roots[0].Address == 0 || roots[1].Kind != livejit.RootPin {
		t.Errorf("WhyAlive: %v", roots)
	}
	if v := f.Versions(); len(v) != 2 || v[0].Number != 1 || v[0].Current || v[0].Pins != 1 || v[1].Number != 2 || !v[1].Current {
		t.Errorf("Versions: %+v", v)
	}
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	var held *livejit.QuiescenceError
	if err := e.Quiesce(ctx); !errors.As(err, &held) || held.Thread == 0 {
		t.Errorf("Quiesce: %v", err)
	}
	leave <- true
	<-done
	pin.Release()
	if err := e.Quiesce(background); err != nil {
		t.Error(err)
	}
	if roots := f.WhyAlive(); len(roots) != 0 {
		t.Errorf("WhyAlive: %v", roots)
	}
}

// TestLateConstructors looks at which constructors run: those of lazy modules at Add, in their order;
// of a replacement those that are new, and none again.
func TestLateConstructors(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		t.Run(fmt.Sprintf("lazy=%v", lazy), func(t *testing.T) {
			var options []livejit.Option
			if lazy {
				options = append(options, livejit.WithLazy())
			}
			e, err := livejit.New(options...)
			if err != nil {
				t.Fatal(err)
			}
			var log []int64
			if err := e.Define("note", func(n int64) { log = append(log, n) }); err != nil {
				t.Fatal(err)
			}
			entry := func(priority int, name string) string {
				return fmt.Sprintf("{ i32, ptr, ptr } { i32 %d, ptr @%s, ptr null }", priority, name)
			}
			note := func(name string, n int) string {
				return fmt.Sprintf("define internal void @%s() { call void @note(i64 %d)  ret void }\n", name, n)
			}
			const kinds = "[2 x { i32, ptr, ptr }]"
			before := "declare void @note(i64)\n" + note("second", 2) + note("first", 1) + note("last", 99) +
				"@llvm.global_ctors = appending global " + kinds + " [" + entry(65535, "second") + ", " + entry(200, "first") + "]\n" +
				"@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [" + entry(65535, "last") + "]\n"
			add(t, e, "m", before)
			if fmt.Sprint(log) != "[1 2]" {
				t.Errorf("constructors of Add noted %v", log)
			}
			after := "declare void @note(i64)\n" + note("second", 22) + note("third", 3) +
				"@llvm.global_ctors = appending global " + kinds + " [" + entry(65535, "second") + ", " + entry(65535, "third") + "]\n"
			replaceIR(t, e, "m", after)
			replaceIR(t, e, "m", after)
			if fmt.Sprint(log) != "[1 2 3]" {
				t.Errorf("with a replacement they noted %v", log)
			}
			cxx := `@a = internal global i64 0
				define internal void @__cxx_global_var_init() { store i64 5, ptr @a  ret void }
				define internal void @_GLOBAL__sub_I_x() { call void @__cxx_global_var_init()  ret void }
				@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [` + entry(65535, "_GLOBAL__sub_I_x") + `]
				define i64 @sum() { %a = load i64, ptr @a  ret i64 %a }`
			add(t, e, "x", cxx)
			if got := call(t, e, "sum"); got != 5 {
				t.Errorf("sum() = %d, want 5", got)
			}
			replaceIR(t, e, "x", `@a = internal global i64 0
				@b = internal global i64 0
				define internal void @__cxx_global_var_init() { store i64 7, ptr @b  ret void }
				define internal void @__cxx_global_var_init.1() { store i64 6, ptr @a  ret void }
				define internal void @_GLOBAL__sub_I_x() { call void @__cxx_global_var_init()  call void @__cxx_global_var_init.1()  ret void }
				@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [`+entry(65535, "_GLOBAL__sub_I_x")+`]
				define i64 @sum() { %a = load i64, ptr @a  %b = load i64, ptr @b  %r = add i64 %a, %b  ret i64 %r }`)
			if got := call(t, e, "sum"); got != 12 {
				t.Errorf("sum() = %d, want 12: the new variable has its initial value, the old one keeps its own", got)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(log) != "[1 2 3 99]" {
				t.Errorf("with Close they noted %v", log)
			}
		})
	}
}

// TestVerdictsOfATransaction has one of each kind of step.
func TestVerdictsOfATransaction(t *testing.T) {
	e := newEngine(t)
	add(t, e, "m", "@v = global i64 1\ndefine i64 @f() { ret i64 1 }\ndefine i64 @g() { ret i64 1 }\ndefine i64 @h() { ret i64 1 }\ndefine i64 @same() { ret i64 1 }")
	r, err := e.Update(background, func(u *livejit.Update) error {
		u.Add(livejit.IR("new", "@w = global i64 1\ndefine i64 @n() { ret i64 1 }"))
		u.Replace(livejit.IR("m", "@v = global i64 2\ndefine i64 @f() { ret i64 2 }\ndefine i64 @same() { ret i64 1 }"))
		u.Delete("g")
		u.Invalidate("h")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, r, "replaced f@2", "unchanged same@1", "kept v: its initialiser changed; it keeps its value", "removed g", "invalidated h",
		"added n@1", "added w")
	if len(r.Modules) != 1 || r.Modules[0].Name() != "new" || r.Duration.Total <= 0 {
		t.Errorf("%+v", r)
	}
	for _, v := range r.Verdicts[:2] {
		if v.Module != "m" {
			t.Errorf("%v is about module %q", v, v.Module)
		}
	}
	reason := errors.New("no")
	if _, err := e.Update(background, func(u *livejit.Update) error { u.Delete("f"); return reason }); err != reason {
		t.Errorf("the error of the function: %v", err)
	}
	if _, err := e.Update(background, func(u *livejit.Update) error { u.Add(); u.Delete(""); return nil }); err == nil {
		t.Error("steps without a source and a name were taken")
	}
}

// TestCloseWithAliases closes modules whose functions have other names: nothing is left,
// whichever name comes first.
func TestCloseWithAliases(t *testing.T) {
	e := newEngine(t)
	for _, text := range []string{
		"define i64 @f() { ret i64 1 }\n@first = alias i64 (), ptr @f\n@second = alias i64 (), ptr @f",
		"@first = alias i64 (), ptr @zz\n@second = alias i64 (), ptr @zz\ndefine i64 @zz() { ret i64 1 }",
	} {
		before := inUse(e)
		m := add(t, e, "m", text)
		if got := call(t, e, "second"); got != 1 {
			t.Errorf("second() = %d", got)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if after := inUse(e); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s\nleaves\n%+v, before\n%+v", text, after, before)
		}
	}
}

// TestNamedConstantsStay replaces a table of operations while an object points to the old
// one, as objects of C++ do to their vtables: it stays as it was for that object.
func TestNamedConstantsStay(t *testing.T) {
	t.Setenv("LIVEJIT_STRESS", "1")
	e := newEngine(t)
	text := func(v int) string {
		return fmt.Sprintf(`
			@table = internal constant [2 x i64] [i64 %d, i64 0]
			@object = global ptr null
			define void @make() { store ptr @table, ptr @object  ret void }
			define i64 @use() { %%p = load ptr, ptr @object  %%r = load i64, ptr %%p  ret i64 %%r }`, v)
	}
	add(t, e, "m", text(1))
	if _, err := e.Call(background, "make"); err != nil {
		t.Fatal(err)
	}
	for v := range 5 {
		replaceIR(t, e, "m", text(2+v))
		if err := e.Quiesce(background); err != nil {
			t.Fatal(err)
		}
		if got := call(t, e, "use"); got != 1 {
			t.Fatalf("the object's table holds %d, want 1", got)
		}
	}
	if _, err := e.Call(background, "make"); err != nil {
		t.Fatal(err)
	}
	if got := call(t, e, "use"); got != 6 {
		t.Errorf("a new object's table holds %d, want 6", got)
	}
}

// TestQuiescentOldVersions waits for an activation of a version that was replaced before.
func TestQuiescentOldVersions(t *testing.T) {
	e := newEngine(t)
	leave, done := insideF(t, e, "")
	replaceIR(t, e, "m", "define i64 @f() { ret i64 2 }")
	quiescent := func(ctx context.Context) error {
		_, err := e.Update(ctx, func(u *livejit.Update) error {
			u.Replace(livejit.IR("m", "define i64 @f() { ret i64 3 }"))
			u.Quiescent()
			return nil
		})
		return err
	}
	ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
	defer cancel()
	var busy *livejit.QuiescenceError
	if err := quiescent(ctx); !errors.As(err, &busy) || busy.Function != "f@1" {
		t.Errorf("while version 1 is running: %v", err)
	}
	leave <- true
	if got := <-done; got != 1 {
		t.Errorf("f() = %d, want 1", got)
	}
	if err := quiescent(background); err != nil {
		t.Error(err)
	}
	if got := call(t, e, "f"); got != 3 {
		t.Errorf("f() = %d, want 3", got)
	}
}
