/* Variable arguments: every class of argument, more than the registers hold, va_copy, va_list passed on, structs. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct pair { int a, b; };
struct mixed { double d; long l; };
struct floats { float x, y; };
struct big { long v[5]; };

static long sum_ints(int n, ...) {
    va_list ap;
    long s = 0;
    va_start(ap, n);
    for (int i = 0; i < n; i++)
        s = s * 3 + va_arg(ap, int);
    va_end(ap);
    return s;
}

static double sum_doubles(int n, ...) {
    va_list ap;
    double s = 0;
    va_start(ap, n);
    for (int i = 0; i < n; i++)
        s = s * 0.5 + va_arg(ap, double);
    va_end(ap);
    return s;
}

static void walk(const char *what, va_list ap) {
    for (; *what; what++) {
        switch (*what) {
        case 'i': printf(" i:%d", va_arg(ap, int)); break;
        case 'l': printf(" l:%lld", va_arg(ap, long long)); break;
        case 'd': printf(" d:%.3f", va_arg(ap, double)); break;
        case 'L': printf(" L:%.5Lf", va_arg(ap, long double)); break;
        case 's': printf(" s:%s", va_arg(ap, const char *)); break;
        case 'p': { struct pair p = va_arg(ap, struct pair); printf(" p:%d,%d", p.a, p.b); break; }
        case 'm': { struct mixed m = va_arg(ap, struct mixed); printf(" m:%.2f,%ld", m.d, m.l); break; }
        case 'f': { struct floats f = va_arg(ap, struct floats); printf(" f:%.1f,%.1f", f.x, f.y); break; }
        case 'b': { struct big b = va_arg(ap, struct big); printf(" b:%ld,%ld", b.v[0], b.v[4]); break; }
        case 'F': { long (*f)(int, ...) = va_arg(ap, long (*)(int, ...)); printf(" F:%ld", f(3, 1, 2, 3)); break; }
        case 'q': { __int128 q = va_arg(ap, __int128); printf(" q:%lld", (long long)(q >> 40)); break; }
        }
    }
    printf("\n");
}

static void show(const char *what, ...) {
    va_list ap, twice;
    va_start(ap, what);
    va_copy(twice, ap);
    walk(what, ap);
    walk(what, twice);
    va_end(twice);
    va_end(ap);
}

static int format(char *out, size_t size, const char *f, ...) {
    va_list ap;
    va_start(ap, f);
    int n = vsnprintf(out, size, f, ap);
    va_end(ap);
    return n;
}

int main(void) {
    printf("%ld %ld\n", sum_ints(0), sum_ints(12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    printf("%.9f\n", sum_doubles(12, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12.));
    struct pair p = {3, -4};
    struct mixed m = {2.5, 1L << 40};
    struct floats f = {1.5f, -2.5f};
    struct big b = {{1, 2, 3, 4, 5}};
    show("ildLs", 1, 2LL, 3.0, 4.25L, "five");
    show("pmfb", p, m, f, b);
    show("iiiiiidddddddddLpmfbilds", 1, 2, 3, 4, 5, 6, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1e10L, p, m, f, b, 7, 8LL, 9., "end");
    show("iqiqFs", 1, (__int128)5 << 60, 2, -((__int128)9 << 70), sum_ints, "pointer");
    char text[40];
    int n = format(text, sizeof text, "%d-%s-%.2f-%c-%lx", 42, "abc", 3.14159, 'z', 0xdeadbeefUL);
    printf("%d [%s]\n", n, text);
    n = format(text, 8, "%s", "longer than eight");
    printf("%d [%s]\n", n, text);
    return 0;
}
