package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"livejit"
	"livejit/clang"
)

// The hammer's functions, by index: testdata/live/hammer.cpp knows these numbers, too.
const (
	hammerBase    = 1 << 28
	firstPlain    = 0  // p0 to p3 add
	firstCaller   = 4  // q0 to q3 call them
	firstRelay    = 8  // relay0 and relay1 call a function pointer, which may throw
	firstMortal   = 10 // d0 and d1 are deleted and come back; used0 and used1 call them
	hammerRows    = 12
	updaters      = 4
	goCallers     = 8
	hammerTrios   = 2
	hammerMortals = 2
)

// hammerRow says which versions of a function can be met. A version is 4*sequence+updater;
// of each updater those from floor (all below were replaced before) to started exist. The
// table of them is native memory, for native callers check their results, too.
type hammerRow struct{ started, floor [updaters]int64 }

// hammer is one engine under load.
type hammer struct {
	t        *testing.T
	e        *livejit.Engine
	lazy     bool
	table    *[16]hammerRow
	finished [hammerRows][updaters]atomic.Int64 // sequence numbers
	trios    atomic.Int64                       // the last version of any trio
	mortals  [hammerMortals]mortal
	modules  [updaters]atomic.Pointer[func(int64) (int64, error)] // of the module that an updater adds and closes

	stop                                              atomic.Bool
	calls, deleted, updates, quiescent, busy, reloads atomic.Int64
}

// mortal is a function that is deleted at times.
type mortal struct {
	mu     sync.Mutex
	gone   bool
	module *livejit.Module // that defines it, if it was added
}

// hammerName returns the name of the function with an index.
func hammerName(k int) string {
	switch {
	case k < firstCaller:
		return fmt.Sprint("p", k-firstPlain)
	case k < firstRelay:
		return fmt.Sprint("q", k-firstCaller)
	case k < firstMortal:
		return fmt.Sprint("relay", k-firstRelay)
	}
	return fmt.Sprint("d", k-firstMortal)
}

// hammerFunction is the IR of one version of a function.
func hammerFunction(k int, version int64) string {
	name, code := hammerName(k), hammerBase+16*version+int64(k)
	switch {
	case k >= firstCaller && k < firstRelay:
		return fmt.Sprintf(`
			define { i64, i64 } @%s(i64 %%x) {
			  %%c = call i64 @p%d(i64 %%x)
			  %%o = add i64 %%x, %d
			  %%a = insertvalue { i64, i64 } undef, i64 %%o, 0
			  %%b = insertvalue { i64, i64 } %%a, i64 %%c, 1
			  ret { i64, i64 } %%b }`, name, k-firstCaller, code)
	case k >= firstRelay && k < firstMortal:
		return fmt.Sprintf("\ndefine i64 @%s(ptr %%f, i64 %%x) { call void %%f(i64 %%x)  %%r = add i64 %%x, %d  ret i64 %%r }", name, code)
	case k == 2: // has a constant of its own
		return fmt.Sprintf(`
			@table = private constant [2 x i64] [i64 %d, i64 %[1]d]
			define i64 @%s(i64 %%x) {
			  %%i = and i64 %%x, 1
			  %%p = getelementptr [2 x i64], ptr @table, i64 0, i64 %%i
			  %%c = load i64, ptr %%p
			  %%r = add i64 %%x, %%c
			  ret i64 %%r }`, code, name)
	case k%2 == 1: // stays inside for a while
		return fmt.Sprintf(`
			define i64 @%s(i64 %%x) {
			entry:
			  br label %%again
			again:
			  %%i = phi i64 [ 0, %%entry ], [ %%j, %%again ]
			  %%j = add i64 %%i, 1
			  %%c = icmp ult i64 %%j, 300
			  br i1 %%c, label %%again, label %%done
			done:
			  %%r = add i64 %%x, %d
			  ret i64 %%r }`, name, code)
	}
	return fmt.Sprintf("\ndefine i64 @%s(i64 %%x) { %%r = add i64 %%x, %d  ret i64 %%r }", name, code)
}

// hammerText is the IR of versions of several functions.
func hammerText(versions map[int]int64) string {
	var b strings.Builder
	for k := range hammerRows {
		version, ok := versions[k]
		if !ok {
			continue
		}
		b.WriteString(hammerFunction(k, version))
		if _, own := versions[k-firstCaller]; !own && k >= firstCaller && k < firstRelay {
			fmt.Fprintf(&b, "\ndeclare i64 @p%d(i64)", k-firstCaller)
		}
	}
	return b.String()
}

// trioText is the IR of three functions that only agree with those of the same version.
func trioText(i int, version int64) string {
	v := version & (1<<20 - 1)
	return fmt.Sprintf(`
		define i64 @left%d(i64 %%x) { ret i64 %d }
		define i64 @right%[1]d(i64 %%x) { ret i64 %[2]d }
		define i64 @trio%[1]d(i64 %%x) {
		  %%l = call i64 @left%[1]d(i64 %%x)
		  %%r = call i64 @right%[1]d(i64 %%x)
		  %%s = shl i64 %%l, 20
		  %%t = or i64 %%s, %%r
		  %%u = or i64 %%t, %[3]d
		  ret i64 %%u }`, i, v, v<<40)
}

// hammerTime returns how long to go on: 60 s, 2 s with -short, or what LIVEJIT_HAMMER says.
func hammerTime(t *testing.T) time.Duration {
	text := os.Getenv("LIVEJIT_HAMMER")
	switch {
	case text == "" && testing.Short():
		return 2 * time.Second
	case text == "":
		return 60 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("LIVEJIT_HAMMER: %v", err)
	}
	return d
}

// hammerSeed returns LIVEJIT_SEED, or something new.
func hammerSeed(t *testing.T) uint64 {
	text := os.Getenv("LIVEJIT_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano()) % 1e9
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("LIVEJIT_SEED: %v", err)
	}
	return seed
}

// TestLiveHammer has eight goroutines and four native threads, which start more native
// threads, call functions that four updaters replace, delete, define again, invalidate, and
// change several of at once, while modules with constructors, thread-local variables and exceptions come
// and go. Every result tells which version made it, and must be of one that was published
// at some moment of the call. Under LIVEJIT_STRESS old code goes as soon as it may, and what is
// freed is filled with traps.
//
// TestUnpinnedFails shows that it notices when code is freed too early. Without the look at
// the origin in part.neededBy it finds, within seconds, functions that have gone back to an older version.
func TestLiveHammer(t *testing.T) {
	ways := []struct {
		name, stress string
		options      []livejit.Option
	}{
		{"stress", "1", nil},
		{"sweeping", "", nil},
		{"lazy", "1", []livejit.Option{livejit.WithLazy(), livejit.WithOptLevel(1)}},
	}
	d := hammerTime(t) / time.Duration(len(ways))
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Setenv("LIVEJIT_STRESS", way.stress)
			before := hold(t)
			before.mappings += 150 // stacks and heaps of threads, which the C library and Go keep for the next ones
			hammerEngine(t, hammerSeed(t), d, way.options)
			compareHoldings(t, before)
		})
	}
}

func hammerEngine(t *testing.T, seed uint64, d time.Duration, options []livejit.Option) {
	t.Logf("LIVEJIT_SEED=%d", seed)
	e, err := livejit.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	h := &hammer{t: t, e: e, lazy: len(options) > 0}
	h.load()
	modules := h.moduleSources()
	h.settle()
	start := e.Stats()
	if r := call(t, e, "hammer_start", int64(seed)); r != 0 {
		t.Fatalf("pthread_create: error %d", r)
	}
	var workers, collector sync.WaitGroup
	for i := range goCallers {
		workers.Go(func() { h.call(rand.New(rand.NewPCG(seed, uint64(100+i)))) })
	}
	for i := range updaters {
		workers.Go(func() {
			(&updater{hammer: h, id: i, rand: rand.New(rand.NewPCG(seed, uint64(i))), source: modules[i]}).run()
		})
	}
	collector.Go(func() {
		for !h.stop.Load() {
			runtime.GC()
			time.Sleep(20 * time.Millisecond)
		}
	})
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		time.Sleep(10 * time.Millisecond)
		if call(t, e, "hammer_wrong") != 0 {
			break
		}
	}
	h.stop.Store(true)
	workers.Wait()
	collector.Wait()
	if left := call(t, e, "hammer_stop"); left != 0 {
		t.Errorf("%d native threads did not run their exit handlers", left)
	}
	h.finish(start)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// load makes the engine's first state.
func (h *hammer) load() {
	if err := h.e.Define("go_calls", h.fromNative); err != nil {
		h.t.Fatal(err)
	}
	versions := make(map[int]int64)
	for k := range hammerRows {
		versions[k] = 0
	}
	text := hammerText(versions)
	for i := range hammerTrios {
		text += trioText(i, 0)
	}
	for i := range hammerMortals {
		text += fmt.Sprintf("\ndefine i64 @used%d(i64 %%x) { %%r = call i64 @d%[1]d(i64 %%x)  ret i64 %%r }", i)
	}
	add(h.t, h.e, "base", text)
	native := clang.Source("hammer.cpp", string(readFile(h.t, "testdata/live/hammer.cpp")), clang.Options{Lang: "c++"})
	if _, err := h.e.Add(background, native); err != nil {
		h.t.Fatalf("%+v", err)
	}
	r, err := h.e.Call(background, "hammer_table")
	if err != nil {
		h.t.Fatal(err)
	}
	h.table = (*[16]hammerRow)(r.(unsafe.Pointer))
}

// moduleSources compiles the module that each updater adds and closes: half of them as
// objects, half as bitcode.
func (h *hammer) moduleSources() []livejit.Source {
	var list []livejit.Source
	text := string(readFile(h.t, "testdata/live/module.cpp"))
	for i := range updaters {
		name := fmt.Sprint("module", i)
		flags := []string{"-O1", "-fPIC", "-DNAME=" + name}
		if i%2 == 0 {
			list = append(list, livejit.Object(name, compile(h.t, "clang++-22", "module.cpp", text, flags...)))
		} else {
			list = append(list, livejit.Bitcode(name, compile(h.t, "clang++-22", "module.cpp", text, append(flags, "-emit-llvm")...)))
		}
	}
	return list
}

// fail reports an error, and ends the test soon.
func (h *hammer) fail(format string, args ...any) {
	h.t.Errorf(format, args...)
	h.stop.Store(true)
}

// floors returns which versions of a function are gone before a call begins.
func (h *hammer) floors(k int) (f [updaters]int64) {
	for i := range f {
		f[i] = atomic.LoadInt64(&h.table[k].floor[i])
	}
	return f
}

// check looks at a result of a call that began when the floors were those.
func (h *hammer) check(k int, floor [updaters]int64, x, got int64) {
	code := got - x - hammerBase
	version := code >> 4
	u, sequence := version%updaters, version/updaters
	switch {
	case code < 0 || code%16 != int64(k):
		h.fail("%s(%d) = %d (%#x): no version of it returns that", hammerName(k), x, got, got)
	case sequence < floor[u]:
		h.fail("%s(%d) is of version %d of updater %d, below %d, which had been replaced before the call began", hammerName(k), x, sequence, u, floor[u])
	case sequence > atomic.LoadInt64(&h.table[k].started[u]):
		h.fail("%s(%d) is of version %d of updater %d, which is not made yet", hammerName(k), x, sequence, u)
	}
}

// fromNative is called by native threads, and calls native code again.
func (h *hammer) fromNative(x int64) int64 {
	const k = firstPlain + 1
	floor := h.floors(k)
	r, err := h.e.Call(background, hammerName(k), x)
	if err != nil {
		h.fail("%s from a native thread's callback: %v", hammerName(k), err)
		return x
	}
	h.check(k, floor, x, r.(int64))
	return x
}

// bind binds a function that is loaded.
func (h *hammer) bind(name string, target any) {
	if err := h.e.Bind(name, target); err != nil {
		h.fail("%v", err)
	}
}

// call calls functions until the end.
func (h *hammer) call(r *rand.Rand) {
	var plain [4]func(int64) (int64, error)
	var callers [4]func(int64) (int64, int64, error)
	var trios [hammerTrios]func(int64) (int64, error)
	var used [hammerMortals]func(int64) (int64, error)
	var step func(*uint32) (int64, error)
	for i := range plain {
		h.bind(hammerName(firstPlain+i), &plain[i])
		h.bind(hammerName(firstCaller+i), &callers[i])
	}
	for i := range trios {
		h.bind(fmt.Sprint("trio", i), &trios[i])
	}
	for i := range used {
		h.bind(fmt.Sprint("used", i), &used[i])
	}
	h.bind("thread_step", &step)
	state := r.Uint32()
	for n := 0; !h.stop.Load(); n++ {
		x := r.Int64N(1 << 16)
		i := r.IntN(4)
		switch r.IntN(8) {
		case 0, 1:
			floor := h.floors(firstPlain + i)
			got, err := plain[i](x)
			if h.ok(hammerName(i), err) {
				h.check(firstPlain+i, floor, x, got)
			}
		case 2, 3:
			floor, below := h.floors(firstCaller+i), h.floors(firstPlain+i)
			own, callee, err := callers[i](x)
			if h.ok(hammerName(firstCaller+i), err) {
				h.check(firstCaller+i, floor, x, own)
				h.check(firstPlain+i, below, x, callee)
			}
		case 4:
			i %= hammerMortals
			floor := h.floors(firstMortal + i)
			got, err := used[i](x)
			if h.mortal(hammerName(firstMortal+i), err) {
				h.check(firstMortal+i, floor, x, got)
			}
		case 5:
			if f := h.modules[i].Load(); f != nil {
				if got, err := (*f)(x); h.mortal(fmt.Sprint("module", i), err) && got != x+10 {
					h.fail("module%d(%d) = %d", i, x, got)
				}
			}
		case 6:
			if n%8 == 0 {
				got, err := trios[i%hammerTrios](x)
				if left, right, own := got>>20&0xfffff, got&0xfffff, got>>40; h.ok("trio", err) && (own != left || own != right) {
					h.fail("trio%d: version %d met %d and %d", i%hammerTrios, own, left, right)
				}
			}
		default:
			_, err := step(&state)
			h.ok("thread_step", err)
		}
		h.calls.Add(1)
		if n%16 == 0 {
			runtime.Gosched()
		}
	}
}

// ok reports an error of a call of what is always there.
func (h *hammer) ok(name string, err error) bool {
	if err != nil {
		h.fail("%s: %v", name, err)
	}
	return err == nil
}

// mortal reports an error other than a DeletedError of what was called, or of what a module
// that is being closed calls of its own, and says whether there was none.
func (h *hammer) mortal(name string, err error) bool {
	var gone *livejit.DeletedError
	if errors.As(err, &gone) {
		if gone.Name != name && !(strings.HasPrefix(name, "module") && strings.Contains(gone.Name, "only_even")) {
			h.fail("%s: %v", name, err)
		}
		h.deleted.Add(1)
		return false
	}
	return h.ok(name, err)
}

// updater changes functions.
type updater struct {
	*hammer
	id     int
	rand   *rand.Rand
	source livejit.Source
	module *livejit.Module
}

func (u *updater) run() {
	for !u.stop.Load() {
		switch n := u.rand.IntN(21); {
		case n == 20:
			u.observe()
		case n < 7:
			u.replace(1)
		case n < 10:
			u.replace(2 + u.rand.IntN(4))
		case n < 12:
			u.invalidate()
		case n < 14:
			u.replaceTrio()
		case n < 17:
			u.changeMortal(u.rand.IntN(hammerMortals))
		case n < 19:
			u.reload()
		default:
			u.refused()
		}
		u.updates.Add(1)
	}
	if u.module != nil {
		u.reload()
	}
}

// change runs a transaction that makes new versions of functions. Versions that were
// published before it began are gone when it has ended, whatever other updaters do
// meanwhile.
func (u *updater) change(indices []int, transact func(map[int]int64) error) (map[int]int64, error) {
	versions := make(map[int]int64)
	seen := make(map[int][updaters]int64)
	for _, k := range indices {
		var s [updaters]int64
		for w := range s {
			s[w] = u.finished[k][w].Load()
		}
		seen[k] = s
		versions[k] = 4*atomic.AddInt64(&u.table[k].started[u.id], 1) + int64(u.id)
	}
	if err := transact(versions); err != nil {
		return versions, err
	}
	for _, k := range indices {
		own := versions[k] / 4
		for w, s := range seen[k] {
			floor := s + 1
			if w == u.id {
				floor = own
			}
			u.raise(k, w, floor)
		}
		u.finished[k][u.id].Store(own)
	}
	return versions, nil
}

// raise says that what an updater published below floor is gone.
func (u *updater) raise(k, w int, floor int64) {
	p := &u.table[k].floor[w]
	for {
		old := atomic.LoadInt64(p)
		if old >= floor || atomic.CompareAndSwapInt64(p, old, floor) {
			return
		}
	}
}

// replace replaces n functions in one transaction, and does more in the same one at times.
func (u *updater) replace(n int) {
	indices := u.rand.Perm(firstMortal)
	rest := indices[n:]
	indices = indices[:n]
	slices.Sort(indices)
	_, err := u.change(indices, func(versions map[int]int64) error {
		r, err := u.e.Update(background, func(update *livejit.Update) error {
			update.Replace(livejit.IR("base", hammerText(versions)))
			if n > 1 && u.rand.IntN(3) == 0 {
				update.Invalidate(hammerName(rest[0]), hammerName(rest[1]))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, k := range indices {
			if v, _ := r.Verdict(hammerName(k)); v.Outcome != livejit.Replaced {
				return fmt.Errorf("%s: %s", hammerName(k), v)
			}
		}
		return nil
	})
	if err != nil {
		u.fail("replace: %+v", err)
	}
}

// invalidate unloads functions, among them one that native threads are in all the time.
func (u *updater) invalidate() {
	names := []string{hammerName(u.rand.IntN(firstMortal))}
	if u.rand.IntN(2) == 0 {
		names = append(names, "thread_step")
	}
	if err := u.e.Invalidate(names...); err != nil {
		u.fail("invalidate: %+v", err)
	}
}

// replaceTrio replaces three functions at a moment when nobody is inside. Sometimes there
// is none for so long that it gives up.
func (u *updater) replaceTrio() {
	ctx, cancel := context.WithTimeout(background, 200*time.Millisecond)
	defer cancel()
	_, err := u.e.Update(ctx, func(update *livejit.Update) error {
		update.Replace(livejit.IR("base", trioText(u.rand.IntN(hammerTrios), u.trios.Add(1))))
		update.Quiescent()
		return nil
	})
	var busy *livejit.QuiescenceError
	switch {
	case errors.As(err, &busy):
		u.busy.Add(1)
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		u.fail("quiescent: %+v", err)
	case err == nil:
		u.quiescent.Add(1)
	}
}

// changeMortal replaces a function, deletes it while others refer to it, or brings it back.
func (u *updater) changeMortal(i int) {
	m, k := &u.mortals[i], firstMortal+i
	m.mu.Lock()
	defer m.mu.Unlock()
	name := hammerName(k)
	var err error
	switch {
	case m.gone:
		err = u.bringBack(m, k, u.rand.IntN(2) == 0)
	case u.rand.IntN(3) == 0:
		_, err = u.change([]int{k}, func(versions map[int]int64) error {
			_, err := u.e.Replace(background, livejit.IR("base", hammerText(versions)))
			return err
		})
	default:
		err = u.remove(m, k)
	}
	if err != nil {
		u.fail("%s: %+v", name, err)
	}
}

// remove deletes a mortal function, and closes its module if it has one of its own. The lock is held.
func (u *updater) remove(m *mortal, k int) error {
	_, err := u.e.Update(background, func(update *livejit.Update) error { update.ForceDelete(hammerName(k)); return nil })
	if err != nil {
		return err
	}
	m.gone = true
	for w := range updaters {
		u.raise(k, w, u.finished[k][w].Load()+1)
	}
	var gone *livejit.DeletedError
	if _, err := u.e.Call(background, fmt.Sprint("used", k-firstMortal), 1); !errors.As(err, &gone) {
		return fmt.Errorf("call after it was deleted: %w", err)
	}
	if m.module != nil {
		module := m.module
		m.module = nil
		return module.Close()
	}
	return nil
}

// bringBack defines a mortal function again, in a module of its own or in the first one.
func (u *updater) bringBack(m *mortal, k int, own bool) error {
	versions, err := u.change([]int{k}, func(versions map[int]int64) error {
		text := hammerText(versions)
		if !own {
			_, err := u.e.Replace(background, livejit.IR("base", text))
			return err
		}
		module, err := u.e.Add(background, livejit.IR("own", text))
		m.module = module
		return err
	})
	if err != nil {
		return err
	}
	m.gone = false
	got, err := u.e.Call(background, fmt.Sprint("used", k-firstMortal), 5)
	if want := 5 + hammerBase + 16*versions[k] + int64(k); err == nil && got != want {
		err = fmt.Errorf("called when it was back: %v, want %d", got, want)
	}
	return err
}

// reload adds or closes the updater's module.
func (u *updater) reload() {
	if u.module == nil {
		m, err := u.e.Add(background, u.source)
		if err != nil {
			u.fail("add: %+v", err)
			return
		}
		u.module = m
		f := new(func(int64) (int64, error))
		if err := m.Function(fmt.Sprint("module", u.id)).Bind(f); err != nil {
			u.fail("%v", err)
		}
		u.modules[u.id].Store(f)
		return
	}
	if err := u.module.Close(); err != nil {
		u.fail("close: %+v", err)
	}
	u.module = nil
	u.reloads.Add(1)
}

// refused tries what must be refused.
func (u *updater) refused() {
	var inUse *livejit.InUseError
	if err := u.e.Delete(background, "p0", "left0"); !errors.As(err, &inUse) {
		u.fail("delete what others call: %v", err)
	}
	var compile *livejit.CompileError
	if _, err := u.e.Replace(background, livejit.IR("base", "define i64 @p0(i64 %x) { ret i32 0 }")); !errors.As(err, &compile) {
		u.fail("replace by what does not compile: %v", err)
	}
	var undefined *livejit.UndefinedError
	text := "declare i64 @nowhere()\ndefine i64 @p0(i64 %x) { %r = call i64 @nowhere()  ret i64 %r }"
	if _, err := u.e.Replace(background, livejit.IR("base", text)); !errors.As(err, &undefined) {
		u.fail("replace by what does not link: %v", err)
	}
}

// observe looks at a function, and holds a version for a while.
func (u *updater) observe() {
	k := u.rand.IntN(firstMortal)
	f := u.e.Function(hammerName(k))
	pin, err := f.Pin()
	if err != nil && !errors.Is(err, livejit.ErrNotFound) { // it is invalid
		u.fail("pin: %v", err)
	}
	u.replace(1 + u.rand.IntN(3))
	f.WhyAlive()
	versions := f.Versions()
	if !slices.IsSortedFunc(versions, func(a, b livejit.Version) int { return a.Number - b.Number }) {
		u.fail("versions of %s: %+v", f.Name(), versions)
	}
	if pin == nil {
		return
	}
	if held := pin.Version(); !slices.ContainsFunc(versions, func(v livejit.Version) bool { return v.Addr == held.Addr && v.Pins > 0 }) {
		u.fail("version %d of %s is pinned, but not among %+v", held.Number, f.Name(), versions)
	}
	pin.Release()
}

// finish brings the engine back to its first state and compares.
func (h *hammer) finish(start livejit.Stats) {
	t, e := h.t, h.e
	u := &updater{hammer: h}
	for i := range h.mortals {
		m, k := &h.mortals[i], firstMortal+i
		if m.module != nil {
			if err := u.remove(m, k); err != nil {
				t.Errorf("%+v", err)
			}
		}
		if m.gone {
			if err := u.bringBack(m, k, false); err != nil {
				t.Errorf("%+v", err)
			}
		}
	}
	h.settle()
	if n := call(t, e, "hammer_wrong"); n != 0 {
		what := [4]int64{}
		for i := range what {
			what[i] = call(t, e, "hammer_first_wrong", i)
		}
		t.Errorf("%d wrong results in native code; the first: function %d of %d returned %d, floor %d", n, what[0], what[1], what[2], what[3])
	}
	if n := call(t, e, "hammer_note", 0); n != 0 {
		t.Errorf("%d more constructors than destructors have run", n)
	}
	native, short := call(t, e, "hammer_calls"), call(t, e, "hammer_short_lived")
	end := e.Stats()
	t.Logf("%d calls from Go (%d met deleted functions), %d in native code, %d short-lived threads, %d updates (%d quiescent, %d gave up, %d modules), %d versions freed, %d scans",
		h.calls.Load(), h.deleted.Load(), native, short, h.updates.Load(), h.quiescent.Load(), h.busy.Load(), h.reloads.Load(), end.Reclaimed-start.Reclaimed, end.Scans-start.Scans)
	if h.lazy { // by now more has been compiled, and is bound to the process
		if end.Retired != 0 || end.Modules != start.Modules || end.Functions != start.Functions || end.Stubs < start.Stubs {
			t.Errorf("the engine holds\n%s\nbefore\n%s", holdsNow(end), holdsNow(start))
		}
		return
	}
	compareStats(t, start, end)
}

// settle compiles each function that is updated by itself, and frees what is old: after that
// the engine always holds the same.
func (h *hammer) settle() {
	u := &updater{hammer: h}
	for k := range hammerRows {
		_, err := u.change([]int{k}, func(versions map[int]int64) error {
			_, err := h.e.Replace(background, livejit.IR("base", hammerText(versions)))
			return err
		})
		if err != nil {
			h.t.Fatalf("%+v", err)
		}
	}
	for i := range hammerTrios {
		if _, err := h.e.Replace(background, livejit.IR("base", trioText(i, h.trios.Add(1)))); err != nil {
			h.t.Fatalf("%+v", err)
		}
	}
	for i := range hammerMortals { // from now on it refers to what is deleted, also if it was pending
		if _, err := h.e.Call(background, fmt.Sprint("used", i), 1); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.e.Invalidate("thread_step"); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.e.Call(background, "thread_step", new(uint32)); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	if err := h.e.Quiesce(ctx); err != nil {
		h.t.Errorf("Quiesce: %v", err)
	}
}

// compareStats wants an engine to hold what it held before.
func compareStats(t *testing.T, before, after livejit.Stats) {
	t.Helper()
	if a, b := holdsNow(after), holdsNow(before); a != b {
		t.Errorf("the engine holds\n%s\nbefore\n%s", a, b)
	}
}

// holdsNow prints what of an engine's statistics does not count events.
func holdsNow(s livejit.Stats) string {
	text := fmt.Sprintf("modules %d functions %d symbols %d pieces %d stubs %d callbacks %d calls %d pending %d retired %d, %d bytes", s.Modules, s.Functions,
		s.Symbols, s.Pieces, s.Stubs, s.Callbacks, s.ActiveCalls, s.Pending, s.Retired, s.RetiredSize)
	for _, kind := range slices.Sorted(maps.Keys(s.Memory)) {
		text += fmt.Sprintf("; %s: %d spans, %d bytes", kind, s.Memory[kind].Spans, s.Memory[kind].Bytes)
	}
	return text
}
