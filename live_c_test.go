package livejit_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"livejit"
	"livejit/clang"
)

// cEngine is an engine that is fed with C or C++, compiled one of several ways.
type cEngine struct {
	*livejit.Engine
	t     *testing.T
	level int
	flags []string
	debug bool
}

// eachWay runs a test with code at -O0 and -O2, without debug information and with it.
func eachWay(t *testing.T, f func(t *testing.T, e *cEngine)) {
	for _, level := range []int{0, 2} {
		for _, debug := range []bool{false, true} {
			name := fmt.Sprintf("O%d", level)
			if debug {
				name += "-g"
			}
			t.Run(name, func(t *testing.T) {
				e := &cEngine{Engine: newEngine(t, livejit.WithOptLevel(level)), t: t, level: level, debug: debug}
				if debug {
					e.flags = []string{"-g"}
				}
				f(t, e)
				for _, wrong := range e.Check() {
					t.Error(wrong)
				}
			})
		}
	}
}

// source compiles a text; the name's ending says whether it is C or C++.
func (e *cEngine) source(name, text string) livejit.Source {
	o := clang.Options{OptLevel: e.level, Flags: append([]string{"-w"}, e.flags...)}
	if strings.HasSuffix(name, ".cpp") {
		o.Lang = "c++"
	}
	return clang.Source(name, text, o)
}

func (e *cEngine) load(name, text string) *livejit.Module {
	e.t.Helper()
	return load(e.t, e.Engine, e.source(name, text))
}

func (e *cEngine) replace(name, text string) *livejit.Result {
	e.t.Helper()
	r, err := e.Replace(background, e.source(name, text))
	if err != nil {
		e.t.Fatalf("replace %s: %+v", name, err)
	}
	return r
}

// want calls a function of integers and compares.
func (e *cEngine) want(want int64, name string, args ...any) {
	e.t.Helper()
	if got := call(e.t, e.Engine, name, args...); got != want {
		e.t.Errorf("%s%v = %d, want %d", name, args, got, want)
	}
}

// wantOutcome compares one verdict.
func (e *cEngine) wantOutcome(r *livejit.Result, name string, outcome livejit.Outcome, reason string) {
	e.t.Helper()
	v, ok := r.Verdict(name)
	if !ok || v.Outcome != outcome || !strings.Contains(v.Reason, reason) {
		e.t.Errorf("verdict about %s: %v, want %v: %s; all:\n%s", name, v, outcome, reason, verdicts(r))
	}
}

// edit replaces words of a text, in pairs of old and new.
func edit(text string, words ...string) string {
	for i := 0; i < len(words); i += 2 {
		if !strings.Contains(text, words[i]) {
			panic("the text has no " + words[i])
		}
	}
	return strings.NewReplacer(words...).Replace(text)
}

func TestReplaceBehindPointers(t *testing.T) {
	const text = `
		void *malloc(unsigned long);
		struct ops { long (*call)(long); } *onHeap;
		static long f(long x) { return x + 1; }
		long g(long x) { return x + 2; }
		long (*inGlobal)(long) = f;
		long (*table[2])(long) = { f, g };
		static struct ops const constant = { g };
		void setup(void) { onHeap = malloc(sizeof *onHeap); onHeap->call = g; }
		long all(long x) { return inGlobal(x) + 100 * table[0](x) + 10000 * table[1](x) + 1000000 * onHeap->call(x) + 100000000 * constant.call(x); }
		long same(void) { return inGlobal == f && table[1] == g && onHeap->call == g; }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		e.load("m.c", text)
		if _, err := e.Call(background, "setup"); err != nil {
			t.Fatal(err)
		}
		e.want(303030202, "all", 1)
		r := e.replace("m.c", edit(text, "x + 1;", "x + 3;", "x + 2;", "x + 4;"))
		e.wantOutcome(r, "f", livejit.Replaced, "")
		e.wantOutcome(r, "onHeap", livejit.Unchanged, "")
		e.want(505050404, "all", 1)
		e.want(1, "same")
	})
}

func TestReplaceVirtualFunctions(t *testing.T) {
	const text = `
		struct Shape { long n; Shape(long n) : n(n) {} virtual long area() const { return 0; } virtual ~Shape() {} };
		struct Square : Shape { using Shape::Shape; long area() const override; };
		struct Twice : Square { using Square::Square; long area() const override { return 2 * Square::area(); } };
		long Square::area() const { return n * n; }
		static Shape *shapes[2];
		extern "C" void make() { shapes[0] = new Square(3); shapes[1] = new Twice(4); }
		extern "C" long sum() { return shapes[0]->area() + 1000 * shapes[1]->area(); }
		extern "C" void drop() { for (Shape *s : shapes) delete s; }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		m := e.load("m.cpp", text)
		if _, err := e.Call(background, "make"); err != nil {
			t.Fatal(err)
		}
		e.want(32009, "sum")
		e.replace("m.cpp", edit(text, "n * n", "n * n + 1", "2 * Square", "3 * Square"))
		e.want(51010, "sum") // objects that were made before
		if _, err := e.Call(background, "make"); err != nil {
			t.Fatal(err)
		}
		e.want(51010, "sum")
		if _, err := e.Call(background, "drop"); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestReplaceComparator replaces the comparator of a qsort that is in progress, from the comparator itself
// and from another goroutine.
func TestReplaceComparator(t *testing.T) {
	const text = `
		void qsort(void *, unsigned long, unsigned long, int (*)(const void *, const void *));
		void tick(void);
		long before, after;
		static int compare(const void *a, const void *b) {
			tick();
			before++;
			return (*(const long *)a > *(const long *)b) - (*(const long *)a < *(const long *)b);
		}
		long sort(long *list, long n) {
			qsort(list, n, sizeof *list, compare);
			for (long i = 1; i < n; i++) if (list[i - 1] > list[i]) return 0;
			return before && after;
		}`
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprintf("elsewhere=%t", elsewhere), func(t *testing.T) {
			eachWay(t, func(t *testing.T, e *cEngine) {
				next := e.source("m.c", edit(text, "before++", "after++"))
				calls := 0
				var mu sync.Mutex // guards failed
				var failed error
				err := e.Define("tick", func() {
					if calls++; calls != 20 {
						return
					}
					do := func() {
						if _, err := e.Replace(background, next); err != nil {
							mu.Lock()
							failed = errors.Join(failed, err)
							mu.Unlock()
						}
					}
					if elsewhere {
						fromMany(do)
					} else {
						do()
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				e.load("m.c", text)
				list := make([]int64, 200)
				for i := range list {
					list[i] = int64(i * 7919 % 200)
				}
				e.want(1, "sort", list, len(list))
				if failed != nil {
					t.Error(failed)
				}
				if !slices.IsSorted(list) {
					t.Error("not sorted")
				}
			})
		})
	}
}

func TestReplaceExitHandler(t *testing.T) {
	const text = `
		int atexit(void (*)(void));
		void note(long);
		static void bye(void) { note(1); }
		void setup(void) { atexit(bye); }
		__attribute__((destructor)) static void end(void) { note(10); }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		var notes []int64
		if err := e.Define("note", func(n int64) { notes = append(notes, n) }); err != nil {
			t.Fatal(err)
		}
		m := e.load("m.c", text)
		if _, err := e.Call(background, "setup"); err != nil {
			t.Fatal(err)
		}
		e.replace("m.c", edit(text, "note(1)", "note(2)", "note(10)", "note(20)"))
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(notes, []int64{2, 20}) {
			t.Errorf("at the end ran %v, want [2 20]", notes)
		}
	})
}

func TestReplaceTables(t *testing.T) {
	const text = `
		static const long factors[4] = { 1, 10, 100, 1000 };
		const char *word(long n) { switch (n) { case 0: return "zero"; case 1: return "one"; case 2: return "two"; case 3: return "three"; default: return "many"; } }
		long jump(long n, long x) {
			switch (n) { case 0: return x + 1; case 1: return x * 2; case 2: return x - 3; case 3: return x << 2; case 4: return ~x; case 5: return x * x; }
			return 0;
		}
		long run(const char *code, long x) {
			static const void *const labels[] = { &&add, &&twice, &&stop };
			goto *labels[*code++ - 'a'];
			add: x += 1; goto *labels[*code++ - 'a'];
			twice: x *= 2; goto *labels[*code++ - 'a'];
			stop: return x * factors[1];
		}`
	eachWay(t, func(t *testing.T, e *cEngine) {
		e.load("m.c", text)
		for i, c := range []struct {
			words     []string
			jump, run int64
			word      string
		}{
			{nil, 25, 100, "three"},
			{[]string{"x * x", "x * x * x"}, 125, 100, "three"},
			{[]string{"100, 1000", "7, 8", "1, 10", "2, 20"}, 25, 200, "three"},
			{[]string{"x *= 2", "x *= 3", `"three"`, `"drei"`}, 25, 210, "drei"},
			{[]string{"add: x += 1;", "add: x += 2; x++;"}, 25, 220, "three"},
		} {
			if i > 0 {
				e.replace("m.c", edit(text, c.words...))
			}
			e.want(c.jump, "jump", 5, 5)
			e.want(c.run, "run", "ababc", 1)
			word, err := e.Call(background, "word", 3)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(bytesAt(uint64(uintptr(word.(unsafe.Pointer))), len(c.word))); got != c.word {
				t.Errorf("word(3) = %q, want %q", got, c.word)
			}
		}
	})
}

func TestReplaceKeepsState(t *testing.T) {
	const text = `
		static long hidden = 100;
		long shown = 1000;
		_Thread_local long own = 5;
		static _Thread_local long ownHidden = 7;
		long count(void) { static long n = 40; return n += 1; }
		long count2(void) { static long n = 50; return n += 1; }
		long sum(void) { return ++hidden + ++shown + ++own + ++ownHidden; }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		runtime.LockOSThread() // calls see the variables of one thread
		defer runtime.UnlockOSThread()
		e.load("m.c", text)
		e.want(41, "count")
		e.want(51, "count2")
		e.want(101+1001+6+8, "sum")
		r := e.replace("m.c", edit(text, "n += 1", "n += 10", "return ++hidden", "return 10000 + ++hidden", "hidden = 100", "hidden = 500"))
		e.wantOutcome(r, "count.n", livejit.Unchanged, "")
		e.wantOutcome(r, "hidden", livejit.Kept, "its initialiser changed; it keeps its value")
		e.wantOutcome(r, "own", livejit.Unchanged, "")
		e.want(51, "count")
		e.want(61, "count2")
		e.want(10000+102+1002+7+9, "sum")
		r = e.replace("m.c", edit(text, "_Thread_local long own = 5;", "_Thread_local long own = 5, newer = 3;", "return ++hidden", "return ++newer + ++hidden"))
		e.wantOutcome(r, "newer", livejit.Added, "")
		e.want(4+103+1003+8+10, "sum")
		e.want(5+104+1004+9+11, "sum")
	})
}

// TestReplaceSharedFunctions: inline functions of a header, and instances of a template, are one function,
// however many modules have them.
func TestReplaceSharedFunctions(t *testing.T) {
	const header = `
		inline long scale(long x) { return x * 2; }
		template <class T> T more(T x) { return x + 1; }
		inline long number() { static long n = 0; return ++n; }
		static inline long own(long x) { return x - 1; }`
	const a = header + `extern "C" long a(long x) { return scale(x) + 1000 * more(x) + 1000000 * own(x); } extern "C" long na() { return number(); }`
	const b = header + `extern "C" long b(long x) { return scale(x) + 1000 * more(x) + 1000000 * own(x); } extern "C" long nb() { return number(); }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		ma := e.load("a.cpp", a)
		e.load("b.cpp", b)
		e.want(4006010, "a", 5)
		e.want(4006010, "b", 5)
		e.want(1, "na")
		e.want(2, "nb")
		words := []string{"x * 2", "x * 3", "x + 1;", "x + 2;", "x - 1", "x - 2", "return ++n", "return n += 10"}
		e.replace("b.cpp", edit(b, words...))
		e.want(4007015, "a", 5)
		e.want(3007015, "b", 5)
		e.want(12, "na")
		r := e.replace("a.cpp", edit(a, words...))
		e.wantOutcome(r, "_Z5scalel", livejit.Unchanged, "")
		e.want(3007015, "a", 5)
		e.want(22, "nb")
		var inUse *livejit.InUseError
		if err := ma.Close(); !errors.As(err, &inUse) {
			t.Errorf("close of the module that has the shared functions: %v", err)
		}
	})
}

// TestReplaceWhileThrowing replaces thrower and catcher while they are inside; the exception passes from the
// old version through the old version.
func TestReplaceWhileThrowing(t *testing.T) {
	const text = `
		extern "C" void pause();
		struct Error { long n; Error(long n) : n(n) {} Error(const Error &e) : n(e.n) {} ~Error() {} };
		struct Guard { long &n; ~Guard() { n += 100; } };
		static void thrower(long n) { pause(); if (n) throw Error(n); }
		extern "C" long catcher(long n) {
			long sum = 0;
			try { Guard g{sum}; thrower(n); } catch (Error &e) { return sum + e.n; }
			return sum;
		}
		extern "C" void leaves() { throw Error(1); }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		next := e.source("m.cpp", edit(text, "throw Error(n)", "throw Error(n + 1)", "n += 100", "n += 200", "return sum + e.n", "return sum + e.n + 1000"))
		replace := false
		var failed error
		if err := e.Define("pause", func() {
			if replace {
				_, failed = e.Replace(background, next)
				replace = false
			}
		}); err != nil {
			t.Fatal(err)
		}
		e.load("m.cpp", text)
		e.want(107, "catcher", 7)
		replace = true
		got := call(t, e.Engine, "catcher", 7) // Guard's destructor is called as its new version
		if failed != nil {
			t.Fatal(failed)
		}
		if got != 207 && got != 107 {
			t.Errorf("catcher(7) = %d while it was replaced", got)
		}
		e.want(1208, "catcher", 7)
		if err := e.Quiesce(background); err != nil {
			t.Error(err)
		}
		e.want(1208, "catcher", 7)
		var exception *livejit.ExceptionError
		if _, err := e.Call(background, "leaves"); !errors.As(err, &exception) || exception.Type != "Error" {
			t.Errorf("leaves() = %v", err)
		}
	})
}

func TestReplaceScope(t *testing.T) {
	const static = "static long f(long x) { return x + 1; } long g(long x) { return f(x); } long (*p)(long) = f;"
	eachWay(t, func(t *testing.T, e *cEngine) {
		m := e.load("m.c", static)
		e.want(2, "g", 1)
		global := edit(static, "static long f", "long f")
		e.replace("m.c", global)
		e.want(2, "f", 1)
		e.load("user.c", "long f(long); extern long (*p)(long); long user(long x) { return f(x) + 10 * p(x); }")
		e.want(22, "user", 1)
		e.replace("m.c", edit(global, "x + 1", "x + 2"))
		e.want(33, "user", 1)
		var refused *livejit.RefusedError
		if _, err := e.Replace(background, e.source("m.c", static)); !errors.As(err, &refused) || refused.Name != "f" {
			t.Errorf("f becomes static while user refers to it: %v", err)
		}
		if err := e.Function("user").Module().Close(); err != nil {
			t.Fatal(err)
		}
		e.replace("m.c", edit(static, "x + 1", "x + 3"))
		e.want(4, "g", 1)
		if e.Function("f") != nil || m.Function("f") == nil {
			t.Error("f is not static again")
		}
	})
}

func TestReplaceLines(t *testing.T) {
	const text = "static long n;\nlong g(long x) { return x + 1; }\nlong f(long x) {\n\treturn g(x) + n;\n}\n"
	eachWay(t, func(t *testing.T, e *cEngine) {
		e.load("m.c", text)
		r := e.replace("m.c", "// one more line\n"+text)
		reason := ""
		if e.debug {
			reason = "its lines moved"
		}
		for _, v := range r.Verdicts {
			if v.Outcome != livejit.Unchanged || !v.Variable && v.Reason != reason {
				t.Errorf("%v", v)
			}
		}
		e.want(2, "f", 1)
	})
}

func TestReplaceLayout(t *testing.T) {
	const text = `
		void *malloc(unsigned long);
		struct state { long a, b, c; };
		struct holder { struct state *s; };
		static struct holder h;
		void setup(void) { h.s = malloc(sizeof *h.s); h.s->a = 1; h.s->b = 2; h.s->c = 3; }
		long sum(void) { return h.s->a + h.s->b + h.s->c; }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		e.load("m.c", text)
		if _, err := e.Call(background, "setup"); err != nil {
			t.Fatal(err)
		}
		r, err := e.Replace(background, e.source("m.c", edit(text, "long a, b, c;", "long a, b, c, d;", "+ h.s->c", "+ h.s->c + h.s->d")))
		if !e.debug {
			if err != nil {
				t.Error(err)
			}
			return // nobody can see it
		}
		var refused *livejit.RefusedError
		if !errors.As(err, &refused) || refused.Name != "h" || !strings.Contains(refused.Reason, "struct state grew from 24 to 32 bytes") {
			t.Errorf("a struct grew: %v", err)
		}
		e.wantOutcome(r, "h", livejit.Refused, "struct state grew from 24 to 32 bytes")
		if _, err = e.Replace(background, e.source("m.c", edit(text, "long a, b, c;", "long b, a, c;"))); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "member a moved from byte 0 to 8") {
			t.Errorf("members changed places: %v", err)
		}
		e.want(6, "sum")
	})
}

func TestReplaceWholeModule(t *testing.T) {
	const text = `
		static long helper(long x) { return x + 1; }
		long f(long x) { return helper(x); }
		long unused(long x) { return x; }
		long used(long x) { return x * 2; }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		m := e.load("m.c", text)
		user := e.load("user.c", "long used(long); long user(long x) { return used(x); }")
		const renamed = "static long assistant(long x) { return x + 2; } long f(long x) { return assistant(x); }"
		var inUse *livejit.InUseError
		_, err := e.Update(background, func(u *livejit.Update) error { u.ReplaceModule(m, e.source("m.c", renamed)); return nil })
		if !errors.As(err, &inUse) || inUse.Name != "used" {
			t.Errorf("without what user refers to: %v", err)
		}
		e.want(2, "f", 1)
		r, err := e.Update(background, func(u *livejit.Update) error {
			u.ReplaceModule(m, e.source("m.c", renamed+" long used(long x) { return x * 3; }"))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		e.wantOutcome(r, "helper", livejit.Removed, "")
		e.wantOutcome(r, "unused", livejit.Removed, "")
		e.wantOutcome(r, "assistant", livejit.Added, "")
		e.wantOutcome(r, "used", livejit.Replaced, "")
		e.want(3, "f", 1)
		e.want(3, "user", 1)
		if e.Function("unused") != nil || m.Function("helper") != nil {
			t.Error("what was removed is still there")
		}
		if err := user.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestReplaceObjects replaces functions by those of gcc's objects, and objects by C.
func TestReplaceObjects(t *testing.T) {
	const text = `
		static long hidden(long x) { static long n; return x + ++n; }
		long total = 5;
		long f(long x) { switch (x) { case 0: return 10; case 1: return total; case 2: return hidden(100); case 3: return -1; case 4: return 7; } return 0; }`
	eachWay(t, func(t *testing.T, e *cEngine) {
		object := func(text string) livejit.Source {
			return livejit.Object("m.o", compile(t, "gcc", "m.c", text, append([]string{fmt.Sprintf("-O%d", e.level)}, e.flags...)...))
		}
		load(t, e.Engine, object(text))
		e.load("user.c", "long f(long); extern long total; long user(long x) { return f(x) + 1000 * total++; }")
		e.want(5005, "user", 1)
		if _, err := e.Replace(background, object(edit(text, "return total", "return total + 50", "total = 5", "total = 6"))); err != nil {
			t.Fatal(err)
		}
		e.want(6056, "user", 1)
		e.want(7101, "user", 2)
		r := e.replace("m.c", "extern long total; long f(long x) { return total + x; }")
		e.wantOutcome(r, "f", livejit.Replaced, "")
		e.want(8013, "user", 5)
		if _, err := e.Replace(background, object(text)); err != nil {
			t.Fatal(err)
		}
		e.want(9007, "user", 4)
	})
}

// TestStaticsOfOneName: static functions of one name in two sources of one module are two functions.
func TestStaticsOfOneName(t *testing.T) {
	const a = "static long n = 1; static long helper(long x) { return x + n++; } long a(long x) { return helper(x); }"
	const b = "static long n = 100; static long helper(long x) { return x + n++; } long b(long x) { return helper(x); }"
	eachWay(t, func(t *testing.T, e *cEngine) {
		load(t, e.Engine, e.source("a.c", a), e.source("b.c", b))
		e.want(11, "a", 10)
		e.want(110, "b", 10)
		e.replace("b.c", edit(b, "return helper(x)", "return 1000 + helper(x)"))
		e.want(12, "a", 10)
		e.want(1111, "b", 10)
		e.replace("b.c", edit(b, "x + n++", "x + 5000 + n++"))
		e.want(13, "a", 10)
		e.want(5112, "b", 10)
		e.replace("a.c", edit(a, "x + n++", "x + 7000 + n++"))
		e.want(7014, "a", 10)
		e.want(5113, "b", 10)
	})
}

// TestConstantsOfOldVersions: what WithKeptConstants promises, and what holds without it.
func TestConstantsOfOldVersions(t *testing.T) {
	const rounds = 1000
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept=%t", keep), func(t *testing.T) {
			var options []livejit.Option
			if keep {
				options = append(options, livejit.WithKeptConstants())
			}
			e := newEngine(t, options...)
			text := func(i int) string {
				return fmt.Sprintf("@s = private constant [7 x i8] c\"t%05d\\00\"\n@p = global ptr null\ndefine ptr @name() { store ptr @s, ptr @p  ret ptr @s }", i)
			}
			m := add(t, e, "m", text(0))
			var texts []string
			var places []uint64
			base := e.Stats().Memory["read-only data"].Bytes
			for i := 1; i <= rounds; i++ {
				p, err := e.Call(background, "name")
				if err != nil {
					t.Fatal(err)
				}
				texts, places = append(texts, fmt.Sprintf("t%05d", i-1)), append(places, uint64(uintptr(p.(unsafe.Pointer))))
				replaceIR(t, e, "m", text(i))
			}
			if err := e.Quiesce(background); err != nil {
				t.Fatal(err)
			}
			grown := e.Stats().Memory["read-only data"].Bytes - base
			if !keep {
				if grown != 0 {
					t.Errorf("%d bytes of constants are left of old versions", grown)
				}
				return
			}
			for i, text := range texts {
				if got := string(bytesAt(places[i], 6)); got != text {
					t.Fatalf("the text of version %d is %q, it was %q", i+1, got, text)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if left := e.Stats().Memory["read-only data"].Bytes; left != 0 {
				t.Errorf("%d bytes of constants are left after the module was closed", left)
			}
		})
	}
}
