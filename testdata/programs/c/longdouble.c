/* long double: x87 arithmetic, conversions, comparisons, libm calls, passing and returning. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const long double table[] = {0.0L, 1.0L, -1.5L, 3.14159265358979323846L, 1e100L, -1e-100L, 1e4000L};
long double scale = 1.25L;

__attribute__((noinline)) static long double combine(long double a, int n, long double b, double c, long double d) {
    return a * n + b / (long double)c - d * scale;
}

static long double series(int n) {
    long double s = 0;
    for (int i = 1; i <= n; i++)
        s += 1.0L / ((long double)i * i);
    return s;
}

int main(void) {
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        printf("%u: %.18Lg %.10Le %La\n", i, table[i], table[i] * 3, table[i] / 7);
    printf("combine %.18Lf\n", combine(1.5L, 7, 2.25L, 0.3, -4.125L));
    printf("series %.18Lf\n", series(10000));
    printf("sqrt %.18Lf sin %.15Lf exp %.12Lf pow %.12Lf\n", sqrtl(2.0L), sinl(1.0L), expl(2.5L), powl(1.0001L, 12345.0L));
    printf("eps %Lg max %Lg dig %d\n", LDBL_EPSILON, LDBL_MAX, LDBL_DIG);
    volatile long double big = 1e30L, third = 1.0L / 3.0L, minus = -123456789.987654321L;
    volatile unsigned long ul = 18446744073709551615UL;
    volatile long l = -9223372036854775807L;
    printf("to int %ld %d %u, float %.8g, double %.17g\n", (long)minus, (int)minus, (unsigned)(-minus), (double)(float)third, (double)third);
    printf("from int %.1Lf %.1Lf, back %lu\n", (long double)ul, (long double)l, (unsigned long)(long double)ul);
    printf("compare %d %d %d %d\n", big > third, big < third, third == 1.0L / 3.0L, isnan(big - big));
    printf("inf %Lf nan %d\n", LDBL_MAX * big * 1e4930L, isnan(0.0L * (LDBL_MAX * 2)) != 0);
    printf("parse %.20Lg %.18Lg\n", strtold("0x1.8p+70", NULL), strtold("-2.718281828459045235360", NULL));
    int e;
    long double m = frexpl(1234.5L, &e), whole, part = modfl(-3.75L, &whole);
    printf("frexp %Lf %d, modf %Lf %Lf, fmod %Lf, floor %Lf\n", m, e, part, whole, fmodl(10.5L, 3.0L), floorl(-2.5L));
    return 0;
}
