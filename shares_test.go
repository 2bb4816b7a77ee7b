package livejit_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSharedCompile loads a module that several workers compile together, with everything that ties functions to data and to
// each other, and replaces a function of each share.
func TestSharedCompile(t *testing.T) {
	var text strings.Builder
	text.WriteString(`
		extern "C" {
		long total;
		static long hidden = 3;
		__thread long own = 4;
		long base(long x) { return x + hidden; }
		long other(long) __attribute__((alias("base")));
		long dispatch(long i) {
			static void *const table[] = {&&zero, &&one};
			goto *table[i & 1];
		zero: return 10;
		one: return 11;
		}
		struct Shape { virtual long area() { return 1; } virtual ~Shape() {} };
		struct Square : Shape { long side; Square(long s) : side(s) {} long area() override { return side * side; } };
		static Shape *make(long i) { return i % 2 ? new Shape : new Square(i); }
		inline long count() { static long n; return ++n; }
		static Square constructed(7);
		long early() { return constructed.area(); }
		}
		template <class T> T twice(T x) { static T calls; calls++; return x + x + calls; }
	`)
	const n = 300
	for i := range n {
		fmt.Fprintf(&text, `
			extern "C" long g%d(long x);
			extern "C" long f%[2]d(long x) {
				Shape *s = make(x);
				long r = s->area() + base(x) + other(x) + dispatch(x) + own + count() + twice<long>(x);
				delete s;
				try { if (x == %[2]d) throw x; } catch (long y) { r += y; }
				total += r;
				return r + g%[1]d(x) + "share"[x %% 5];
			}
			extern "C" long g%[2]d(long x) { return x * %[2]d; }
		`, (i+1)%n, i)
	}
	fmt.Fprintf(&text, "\nextern \"C\" const char *padding() { return %q; }\n", strings.Repeat("x", 1<<20))
	eachWay(t, func(t *testing.T, e *cEngine) {
		e.load("shared.cpp", text.String())
		counted, called, total := int64(0), int64(0), int64(0)
		f := func(i, x int64, factor int64) int64 {
			counted++
			called++
			area := x * x
			if x%2 == 1 {
				area = 1
			}
			r := area + 2*(x+3) + 10 + x%2 + 4 + counted + 2*x + called
			if x == i {
				r += x
			}
			total += r
			return r + x*((i+1)%n)*factor + int64("share"[x%5])
		}
		e.want(49, "early")
		for i := int64(0); i < n; i++ {
			e.want(f(i, i%7, 1), fmt.Sprint("f", i), i%7)
		}
		e.replace("shared.cpp", strings.NewReplacer("return x * 5;", "return x * 500;", "return x * 250;", "return x * 25000;").Replace(text.String()))
		for i := int64(0); i < n; i++ {
			factor := int64(1)
			if next := (i + 1) % n; next == 5 || next == 250 {
				factor = 100
			}
			e.want(f(i, i%7, factor), fmt.Sprint("f", i), i%7)
		}
	})
}
