package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"livejit"
	"livejit/internal/llvm"
)

// stateEngine has something of everything that a transaction can meet.
type stateEngine struct {
	*livejit.Engine
	memory *countingMemory
	object livejit.Source // of another compiler: define machine()
	closed *livejit.Module
}

const stateBase = `
	@count = global i64 10
	@limit = constant i64 5
	@perThread = thread_local global i64 6
	@aka = alias i64 (i64), ptr @one
	@pick = ifunc i64 (i64), ptr @choose
	declare ptr @llvm.threadlocal.address.p0(ptr)
	define ptr @choose() { ret ptr @one }
	define i64 @one(i64 %x) { %r = add i64 %x, 1  ret i64 %r }
	define internal i64 @hidden(i64 %x) { %r = mul i64 %x, 3  ret i64 %r }
	define i64 @twice(i64 %x) {
	  %a = call i64 @one(i64 %x)
	  %b = call i64 @hidden(i64 %a)
	  %c = load i64, ptr @limit
	  %t = call ptr @llvm.threadlocal.address.p0(ptr @perThread)
	  %d = load i64, ptr %t
	  %e = add i64 %b, %c
	  %r = add i64 %e, %d
	  ret i64 %r
	}`

const stateUser = `
	declare i64 @one(i64)
	declare i64 @callback(i64)
	@count = external global i64
	define i64 @user(i64 %x) {
	  %a = call i64 @one(i64 %x)
	  %b = load i64, ptr @count
	  %c = add i64 %a, %b
	  %r = call i64 @callback(i64 %c)
	  ret i64 %r
	}`

// newStateEngine loads the modules base, user, swap, old, warm and machine.
func newStateEngine(t *testing.T) *stateEngine {
	t.Helper()
	s := &stateEngine{memory: newCountingMemory(t, nil)}
	s.Engine = newEngine(t, livejit.WithMemoryManager(s.memory))
	if err := s.Define("callback", func(x int64) int64 { return x + 1000 }); err != nil {
		t.Fatal(err)
	}
	s.object = livejit.Object("machine.o", compile(t, "gcc", "machine.c", "extern long one(long); long total = 4; long machine(long x) { return one(x) + total; }", "-O2"))
	add(t, s.Engine, "base", stateBase)
	add(t, s.Engine, "user", stateUser)
	add(t, s.Engine, "swap", "define i64 @swap() { ret i64 1 }")
	add(t, s.Engine, "old", "define i64 @old() { ret i64 1 }")
	add(t, s.Engine, "warm", "declare i64 @one(i64)\ndefine i64 @warm() { %r = call i64 @one(i64 1)  ret i64 %r }")
	add(t, s.Engine, "alias", "define i64 @lonely() { ret i64 1 }\n@nickname = alias i64 (), ptr @lonely")
	load(t, s.Engine, s.object)
	s.closed = add(t, s.Engine, "closed", "define i64 @closed() { ret i64 1 }")
	if err := s.closed.Close(); err != nil {
		t.Fatal(err)
	}
	s.use(t)
	return s
}

// use calls what is loaded.
func (s *stateEngine) use(t *testing.T) {
	t.Helper()
	for name, want := range map[string]int64{"twice": 3*8 + 5 + 6, "user": 8 + 10 + 1000, "aka": 8, "pick": 8, "machine": 12} {
		if got := call(t, s.Engine, name, 7); got != want {
			t.Errorf("%s(7) = %d, want %d", name, got, want)
		}
	}
	if swap, old, warm := call(t, s.Engine, "swap"), call(t, s.Engine, "old"), call(t, s.Engine, "warm"); swap != 1 || old != 1 || warm != 2 {
		t.Errorf("swap() = %d, old() = %d, warm() = %d, want 1, 1, 2", swap, old, warm)
	}
}

// before and after are the valid steps around one that fails.
func (s *stateEngine) before(u *livejit.Update) {
	u.Add(livejit.IR("fresh", allKinds+"\ndeclare i64 @swap()\ndefine i64 @fresh() { %a = call i64 @swap()  %b = call i64 @three(i64 %a)  ret i64 %b }"))
	u.Replace(livejit.IR("swap", "@kept = internal global i64 20\ndefine i64 @swap() { %a = load i64, ptr @kept  %r = call i64 @helper(i64 %a)  ret i64 %r }\ndefine internal i64 @helper(i64 %x) { %r = add i64 %x, 2  ret i64 %r }"))
}

func (s *stateEngine) after(u *livejit.Update) {
	u.Delete("old")
	u.Invalidate("warm")
}

// settle waits until nothing is retired and returns the engine's state.
func (s *stateEngine) settle(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	if err := s.Quiesce(ctx); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range s.Check() {
		t.Error(wrong)
	}
	return s.Dump()
}

// wantSame compares two states.
func wantSame(t *testing.T, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("the engine is not as it was, first difference %s", firstDifference(before, after))
	}
}

// succeed runs the valid steps alone, checks what they did, and takes them back.
func (s *stateEngine) succeed(t *testing.T) {
	t.Helper()
	r, err := s.Update(background, func(u *livejit.Update) error { s.before(u); s.after(u); return nil })
	if err != nil {
		t.Fatalf("the valid steps alone: %+v", err)
	}
	r.Verdicts = slices.DeleteFunc(r.Verdicts, func(v livejit.Verdict) bool { return v.Module == "fresh" && v.Outcome == livejit.Added })
	wantVerdicts(t, r, "replaced swap@2", "added helper@1", "added kept", "removed old", "invalidated warm")
	if fresh, warm := call(t, s.Engine, "fresh"), call(t, s.Engine, "warm"); fresh != 22+1+5+3+7+6 || warm != 2 {
		t.Errorf("fresh() = %d, want %d; warm() = %d, want 2", fresh, 22+1+5+3+7+6, warm)
	}
	if s.Function("old") != nil {
		t.Error("old is still there")
	}
	s.settle(t)
}

// countdown is a context that ends after a number of looks at it.
type countdown struct {
	context.Context
	mu   sync.Mutex
	left int
	done chan struct{}
}

func newCountdown(n int) *countdown {
	return &countdown{Context: background, left: n, done: make(chan struct{})}
}

// look counts one look and says whether the context has ended.
func (c *countdown) look() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return true
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
	return c.left == 0
}

func (c *countdown) Err() error {
	if c.look() {
		return context.Canceled
	}
	return nil
}

func (c *countdown) Done() <-chan struct{} { c.look(); return c.done }

var errByTest = errors.New("failed by the test")

// TestFailedUpdateChangesNothing puts each way in which a transaction can fail between valid
// steps of every kind. To see it fail, leave out the freeing of stubs in discardLink.
func TestFailedUpdateChangesNothing(t *testing.T) {
	s := newStateEngine(t)
	refusal, inUse, compileFailed := new(*livejit.RefusedError), new(*livejit.InUseError), new(*livejit.CompileError)
	duplicate, undefined, format, relocation := new(*livejit.DuplicateError), new(*livejit.UndefinedError), new(*livejit.FormatError), new(*livejit.RelocationError)
	replace := func(name, text string) func(*livejit.Update) {
		return func(u *livejit.Update) { u.Replace(livejit.IR(name, text)) }
	}
	loads := func(sources ...livejit.Source) func(*livejit.Update) {
		return func(u *livejit.Update) { u.Add(sources...) }
	}
	base := s.Function("one").Module()
	const bothOnes = "define i64 @one(i64 %x) { %r = add i64 %x, 1  ret i64 %r }\ndefine i64 @twice(i64 %x) { ret i64 %x }\n"
	ended, cancel := context.WithCancel(background)
	cancel()
	for _, c := range []struct {
		name  string
		steps func(*livejit.Update)
		kind  any    // pointer to an error type, or an error for errors.Is
		words string // in the error's text
	}{
		{"larger variable", replace("base", "@count = global [2 x i64] zeroinitializer"), refusal, "refused count: it grew from 8 to 16 bytes"},
		{"smaller variable", replace("base", "@count = global i32 0"), refusal, "refused count: it shrank from 8 to 4 bytes"},
		{"variable of another type", replace("base", "@count = global double 0.0"), refusal, "refused count: its type was i64 and is double"},
		{"variable becomes thread-local", replace("base", "@count = thread_local global i64 0"), refusal, "thread-local"},
		{"variable ceases to be thread-local", replace("base", "@perThread = global i64 0"), refusal, "thread-local"},
		{"function becomes variable", replace("base", "@one = global i64 0"), refusal, "refused one: it was a function and cannot become a variable"},
		{"variable becomes function", replace("base", "define i64 @count() { ret i64 0 }"), refusal, "refused count: it was a variable and cannot become a function"},
		{"variable becomes constant", replace("base", "@count = constant i64 10"), refusal, "it was a variable and is constant"},
		{"constant becomes variable", replace("base", "@limit = global i64 5"), refusal, "it was constant and is a variable"},
		{"other signature", replace("base", "define i64 @one(i64 %x, i64 %y) { ret i64 %y }"), refusal, "refused one: its type was i64 (i64) and is i64 (i64, i64)"},
		{"alias of another", replace("base", bothOnes+"@aka = alias i64 (i64), ptr @twice"), refusal, "refused aka: what an alias or indirect function stands for cannot change"},
		{"new indirect function", replace("base", bothOnes+"@later = ifunc i64 (i64), ptr @choose\ndefine ptr @choose() { ret ptr @one }"), refusal, "refused later: an indirect function can only be added"},
		{"other resolver", replace("base", bothOnes+"@pick = ifunc i64 (i64), ptr @chooses\ndefine ptr @chooses() { ret ptr @one }"), refusal, "refused pick"},
		{"alias of what is not loaded", replace("base", "@another = alias i64 (i64), ptr @nowhere\ndeclare i64 @nowhere(i64)"), nil, ""},
		{"function becomes static", replace("base", "define internal i64 @one(i64 %x) { %r = add i64 %x, 11  ret i64 %r }\ndefine i64 @keep() { %r = call i64 @one(i64 1)  ret i64 %r }"), refusal, "refused one: it became static while other modules refer to it"},
		{"unchanged function becomes static", replace("base", "define internal i64 @one(i64 %x) { %r = add i64 %x, 1  ret i64 %r }\ndefine i64 @keep() { %r = call i64 @one(i64 1)  ret i64 %r }"), refusal, "refused one: it became static while other modules refer to it"},
		{"variable becomes static", replace("base", "@count = internal global i64 10\ndefine i64 @keep() { %r = load i64, ptr @count  ret i64 %r }"), refusal, "refused count: it became static while other modules refer to it"},
		{"module-level assembly", replace("base", "module asm \".globl assembled\\nassembled: ret\"\ndefine i64 @one(i64 %x) { ret i64 %x }"), refusal, "module-level assembly"},
		{"Go function", replace("callback", "define i64 @callback(i64 %x) { ret i64 %x }"), refusal, "refused callback: it is a Go function"},
		{"object with a larger variable", func(u *livejit.Update) {
			u.Replace(livejit.Object("machine.o", compile(t, "gcc", "machine.c", "long total[2]; long machine(long x) { return x; }", "-O2")))
		}, refusal, "refused total: it grew from 8 to 16 bytes"},
		{"object for a whole module", func(u *livejit.Update) { u.ReplaceModule(base, s.object) }, refusal, "a module is replaced as a whole by IR"},
		{"delete a function in use", func(u *livejit.Update) { u.Delete("one") }, inUse, "one is in use"},
		{"delete a function with an alias", func(u *livejit.Update) { u.Delete("lonely") }, inUse, "lonely is in use: referenced by nickname (alias)"},
		{"other signature of a function with an alias", replace("alias", "define i64 @lonely(i64 %x) { ret i64 %x }\n@nickname = alias i64 (i64), ptr @lonely"), refusal, "nickname (alias)"},
		{"delete a variable in use", func(u *livejit.Update) { u.Delete("count") }, inUse, "count is in use: referenced by user (user)"},
		{"whole module without what others use", func(u *livejit.Update) {
			u.ReplaceModule(base, livejit.IR("base", "define i64 @twice(i64 %x) { ret i64 %x }"))
		}, inUse, "one is in use"},
		{"closed module", func(u *livejit.Update) {
			u.ReplaceModule(s.closed, livejit.IR("closed", "define i64 @closed() { ret i64 2 }"))
		}, livejit.ErrClosed, "closed"},
		{"delete an unknown name", func(u *livejit.Update) { u.Delete("nothing") }, livejit.ErrNotFound, "delete nothing"},
		{"delete an empty name", func(u *livejit.Update) { u.Delete(" ") }, nil, "empty name"},
		{"invalidate an unknown name", func(u *livejit.Update) { u.Invalidate("base:nothing") }, livejit.ErrNotFound, "invalidate base:nothing"},
		{"invalidate a variable", func(u *livejit.Update) { u.Invalidate("count") }, refusal, "refused count: it is not a function"},
		{"invalidate machine code", func(u *livejit.Update) { u.Invalidate("machine") }, refusal, "refused machine: it came as machine code"},
		{"force a variable", func(u *livejit.Update) { u.ForceDelete("count") }, refusal, "only functions"},
		{"syntax", replace("base", "define i64 @one(i64 %x) { ret i64 %y }"), compileFailed, "base"},
		{"syntax in a new module", loads(livejit.IR("bad", "define bad")), compileFailed, "bad"},
		{"verifier", replace("base", "define void @one(i64 %x) { entry: br label %entry }"), compileFailed, "predecessors"},
		{"other machine", replace("base", "target triple = \"aarch64-unknown-linux-gnu\"\ndefine i64 @one(i64 %x) { ret i64 %x }"), compileFailed, ""},
		{"fatal error of LLVM", replace("base", "define i64 @one(i64 %x) gc \"none such\" { ret i64 %x }"), compileFailed, "unsupported GC"},
		{"fatal error of LLVM in a new module", loads(livejit.IR("gc", "define i64 @collected(i64 %x) gc \"none such\" { ret i64 %x }")), compileFailed, "unsupported GC"},
		{"assembly", replace("base", "define i64 @one(i64 %x) { call void asm sideeffect \"bogus %eax\", \"\"()  ret i64 %x }"), compileFailed, "bogus"},
		{"undefined", replace("base", "declare i64 @nowhere(i64)\ndefine i64 @one(i64 %x) { %r = call i64 @nowhere(i64 %x)  ret i64 %r }"), undefined, "nowhere (referenced by one"},
		{"undefined in a new module", loads(livejit.IR("bad", "@p = global ptr @nowhere\ndeclare void @nowhere()")), undefined, "nowhere"},
		{"duplicate of what is loaded", loads(livejit.IR("again", "define i64 @one(i64 %x) { ret i64 %x }")), duplicate, "one is defined by base and by again"},
		{"duplicate in the transaction", loads(livejit.IR("again", "define i64 @fresh() { ret i64 1 }")), duplicate, "fresh"},
		{"two versions of one function", func(u *livejit.Update) {
			u.Replace(livejit.IR("base", "define i64 @one(i64 %x) { ret i64 %x }"))
			u.Replace(livejit.IR("base", "define i64 @one(i64 %x) { ret i64 8 }"))
		}, duplicate, "one"},
		{"two versions of one static function", func(u *livejit.Update) {
			u.Replace(livejit.IR("base", "define internal i64 @hidden(i64 %x) { ret i64 %x }\ndefine i64 @a() { %r = call i64 @hidden(i64 1)  ret i64 %r }"))
			u.Replace(livejit.IR("base", "define internal i64 @hidden(i64 %x) { ret i64 8 }\ndefine i64 @b() { %r = call i64 @hidden(i64 1)  ret i64 %r }"))
		}, duplicate, "hidden"},
		{"relocation out of reach", loads(assemble(t, "narrow", ".globl narrow\nnarrow: .byte one\n ret\n")), relocation, "one"},
		{"broken object", loads(livejit.Object("broken.o", []byte("\x7fELF"))), format, "broken.o"},
		{"archive that replaces", func(u *livejit.Update) { u.Replace(archiveOf(t, "lib.a", member{"a.o", s.objectData(t)})) }, format, "an archive cannot replace"},
		{"no source", func(u *livejit.Update) { u.Add() }, nil, "without a source"},
		{"source that fails", loads(livejit.Generated("made", func(context.Context) (livejit.Source, error) { return livejit.Source{}, errByTest })), errByTest, ""},
		{"cancelled source", loads(livejit.Generated("made", func(context.Context) (livejit.Source, error) { return livejit.Source{}, ended.Err() })), context.Canceled, ""},
		{"failing migration", func(u *livejit.Update) {
			u.Replace(livejit.IR("base", "@count = global [2 x i64] zeroinitializer"))
			u.Replace(livejit.IR("user", strings.Replace(stateUser, "add i64 %a, %b", "sub i64 %a, %b", 1)))
			u.Migrate("count", func(old, new []byte) error { new[0] = 99; return errByTest })
		}, refusal, "refused count: migration: failed by the test"},
		{"migration with a referrer", func(u *livejit.Update) {
			u.Replace(livejit.IR("base", "@count = global [2 x i64] zeroinitializer"))
			u.Migrate("count", func(old, new []byte) error { return nil })
		}, refusal, "user (user)"},
		{"several at a time", func(u *livejit.Update) {
			u.Replace(livejit.IR("base", "@count = global i32 0\n@one = global i64 0"))
			u.Delete("nothing")
			u.Invalidate("machine")
		}, refusal, "count"},
	} {
		succeeded := false
		t.Run(c.name, func(t *testing.T) {
			before, compiler := s.settle(t), compilerState()
			r, err := s.Update(background, func(u *livejit.Update) error { s.before(u); c.steps(u); s.after(u); return nil })
			target, sentinel := c.kind, error(nil)
			if e, is := c.kind.(error); is {
				target, sentinel = nil, e
			}
			switch {
			case err == nil:
				t.Errorf("it succeeded:\n%s", verdicts(r))
				succeeded = true
				return
			case sentinel != nil && !errors.Is(err, sentinel):
				t.Errorf("error %v, want one that is %v", err, sentinel)
			case target != nil && !errors.As(err, target):
				t.Errorf("error %v (%T), want a %v", err, err, reflect.TypeOf(target).Elem())
			case !strings.Contains(err.Error(), c.words):
				t.Errorf("error %v, want %q in it", err, c.words)
			}
			if errors.As(err, refusal) != (r != nil) {
				t.Errorf("error %v with result %v: there is a result for a RefusedError only", err, r)
			}
			wantSame(t, before, s.settle(t))
			if now := compilerState(); now != compiler {
				t.Errorf("LLVM's objects were %s and are %s", compiler, now)
			}
			s.use(t)
		})
		if succeeded {
			s = newStateEngine(t)
			base = s.Function("one").Module()
		}
	}
	s.succeed(t)
}

// objectData is machine's object.
func (s *stateEngine) objectData(t *testing.T) []byte {
	return compile(t, "gcc", "machine.c", "long machine(long x) { return x; }", "-O2")
}

// compilerState is what LLVM holds, without pools.
func compilerState() string {
	s := llvm.ReadStats()
	return fmt.Sprintf("%d modules, %d objects", s.Modules, s.Objects)
}

// TestErrorOfUpdateFunction: an error of the function that makes a transaction is returned as it is.
func TestErrorOfUpdateFunction(t *testing.T) {
	s := newStateEngine(t)
	before := s.settle(t)
	r, err := s.Update(background, func(u *livejit.Update) error { s.before(u); s.after(u); return errByTest })
	if r != nil || err != errByTest {
		t.Errorf("Update = %v, %v", r, err)
	}
	wantSame(t, before, s.settle(t))
}

// whole is a transaction with everything that needs memory, or can wait.
func (s *stateEngine) whole(ctx context.Context) error {
	_, err := s.Update(ctx, func(u *livejit.Update) error {
		s.before(u)
		u.Replace(livejit.IR("base", strings.Replace(stateBase, "mul i64 %x, 3", "mul i64 %x, 4", 1)))
		u.Replace(s.object)
		s.after(u)
		return nil
	})
	return err
}

// TestUpdateWithoutMemory refuses the first, the second, ... request for memory, and then fails the
// first, the second, ... write of one transaction until it succeeds.
func TestUpdateWithoutMemory(t *testing.T) {
	for _, what := range []string{"requests", "writes"} {
		t.Run(what, func(t *testing.T) {
			s := newStateEngine(t)
			before := s.settle(t)
			for n := 1; ; n++ {
				count := 0
				fail := func() error {
					if count++; count == n {
						return errByTest
					}
					return nil
				}
				s.memory.mu.Lock()
				if what == "requests" {
					s.memory.refuse = func(livejit.MemoryRequest) error { return fail() }
				} else {
					s.memory.failWrite = fail
				}
				s.memory.mu.Unlock()
				err := s.whole(background)
				s.memory.mu.Lock()
				s.memory.refuse, s.memory.failWrite = nil, nil
				s.memory.mu.Unlock()
				if err == nil {
					if n < 10 {
						t.Errorf("it took %d %s only", n-1, what)
					}
					t.Logf("%d %s, each failed once", n-1, what)
					break
				}
				var memory *livejit.MemoryError
				if !errors.Is(err, errByTest) || what == "requests" && !errors.As(err, &memory) {
					t.Fatalf("number %d failed: %v", n, err)
				}
				wantSame(t, before, s.settle(t))
				if t.Failed() {
					t.Fatalf("after number %d failed", n)
				}
				s.use(t)
			}
			s.settle(t)
			if got := call(t, s.Engine, "twice", 7); got != 4*8+5+6 {
				t.Errorf("twice(7) = %d", got)
			}
		})
	}
}

// TestCancelledUpdate ends the context at the first, the second, ... look at it.
func TestCancelledUpdate(t *testing.T) {
	s := newStateEngine(t)
	before, compiler := s.settle(t), compilerState()
	for n := 1; ; n++ {
		err := s.whole(newCountdown(n))
		if err == nil {
			if n < 5 {
				t.Errorf("the context was looked at %d times only", n-1)
			}
			t.Logf("cancelled at %d places", n-1)
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("look %d: %v", n, err)
		}
		wantSame(t, before, s.settle(t))
		if now := compilerState(); now != compiler {
			t.Errorf("look %d: LLVM's objects were %s and are %s", n, compiler, now)
		}
		if t.Failed() {
			t.Fatalf("after look %d", n)
		}
		s.use(t)
	}
	s.settle(t)
}

// TestFailingConstructors: the module of a constructor that fails is closed again, the rest of
// the transaction stays.
func TestFailingConstructors(t *testing.T) {
	s := newStateEngine(t)
	if err := s.Define("fail", func() { panic(errByTest) }); err != nil {
		t.Fatal(err)
	}
	before := s.settle(t)
	const failing = `
		declare void @fail()
		@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @start, ptr null }]
		define internal void @start() { call void @fail()  ret void }
		define i64 @constructed() { ret i64 1 }`
	if _, err := s.Add(background, livejit.IR("failing", failing)); !errors.Is(err, errByTest) {
		t.Errorf("Add = %v", err)
	}
	wantSame(t, before, s.settle(t))
	_, err := s.Update(background, func(u *livejit.Update) error {
		s.before(u)
		u.Add(livejit.IR("failing", failing))
		s.after(u)
		return nil
	})
	if !errors.Is(err, errByTest) {
		t.Errorf("Update = %v", err)
	}
	s.settle(t)
	if s.Function("constructed") != nil || s.Function("old") != nil {
		t.Error("the module that failed is still there, or the rest was not done")
	}
	if fresh := call(t, s.Engine, "fresh"); fresh != 22+1+5+3+7+6 {
		t.Errorf("fresh() = %d", fresh)
	}
}

// TestReplaceAndDeleteTogether: steps about one name in one transaction end in a state that
// does not contradict itself, and callers reach what the last step left.
func TestReplaceAndDeleteTogether(t *testing.T) {
	g := func(n int) livejit.Source {
		return livejit.IR("g", fmt.Sprintf("define i64 @g() { ret i64 %d }", n))
	}
	for _, c := range []struct {
		name  string
		steps func(*livejit.Update)
		want  int64 // of f, which calls g; -1: a DeletedError
	}{
		{"replace, invalidate", func(u *livejit.Update) { u.Replace(g(2)); u.Invalidate("g") }, 2},
		{"invalidate, replace", func(u *livejit.Update) { u.Invalidate("g"); u.Replace(g(2)) }, 2},
		{"invalidate twice", func(u *livejit.Update) { u.Invalidate("g", "g") }, 1},
		{"replace, force", func(u *livejit.Update) { u.Replace(g(2)); u.ForceDelete("g") }, -1},
		{"force twice", func(u *livejit.Update) { u.ForceDelete("g", "g") }, -1},
		{"invalidate, force", func(u *livejit.Update) { u.Invalidate("g"); u.ForceDelete("g") }, -1},
		{"force, add", func(u *livejit.Update) {
			u.ForceDelete("g")
			u.Add(livejit.IR("g2", "define i64 @g() { ret i64 3 }"))
		}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stateEngine{Engine: newEngine(t)}
			load(t, s.Engine, g(1))
			add(t, s.Engine, "f", "declare i64 @g()\ndefine i64 @f() { %r = call i64 @g()  ret i64 %r }")
			before := s.settle(t)
			r, err := s.Update(background, func(u *livejit.Update) error { c.steps(u); return nil })
			if err != nil {
				t.Logf("refused: %v", err)
				wantSame(t, before, s.settle(t))
				return
			}
			t.Log(verdicts(r))
			s.settle(t)
			got, err := s.Call(background, "f")
			var deleted *livejit.DeletedError
			switch {
			case c.want < 0 && !errors.As(err, &deleted):
				t.Errorf("f() = %v, %v, want a DeletedError", got, err)
			case c.want >= 0 && (err != nil || got != c.want):
				t.Errorf("f() = %v, %v, want %d", got, err, c.want)
			}
			if c.want < 0 {
				load(t, s.Engine, g(5))
				if got := call(t, s.Engine, "f"); got != 5 {
					t.Errorf("f() = %d after g was defined again", got)
				}
			}
			s.settle(t)
		})
	}
}

// TestDeleteWithAliases: a function goes as a whole with the names that stand for it.
func TestDeleteWithAliases(t *testing.T) {
	s := &stateEngine{Engine: newEngine(t)}
	before := s.settle(t)
	const text = "define i64 @f() { ret i64 1 }\n@first = alias i64 (), ptr @f\n@second = alias i64 (), ptr @f"
	for _, c := range []struct {
		name string
		way  func(m *livejit.Module) error
	}{
		{"function first", func(*livejit.Module) error { return s.Delete(background, "f", "first", "second") }},
		{"aliases first", func(*livejit.Module) error { return s.Delete(background, "second", "first", "f") }},
		{"one after the other", func(*livejit.Module) error {
			return errors.Join(s.Delete(background, "first"), s.Delete(background, "second"), s.Delete(background, "f"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := add(t, s.Engine, "m", text)
			if got := call(t, s.Engine, "second"); got != 1 {
				t.Errorf("second() = %d", got)
			}
			if err := c.way(m); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			wantSame(t, before, s.settle(t))
		})
	}
}
