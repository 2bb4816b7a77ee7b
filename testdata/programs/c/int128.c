/* __int128: arithmetic that calls the compiler's run-time library, shifts, comparisons, passing, conversions. */
#include <stdint.h>
#include <stdio.h>

typedef __int128 i128;
typedef unsigned __int128 u128;

static const char *dec(u128 v, char *out) {
    char tmp[48];
    int n = 0, k = 0;
    do {
        tmp[n++] = '0' + (int)(v % 10);
        v /= 10;
    } while (v);
    while (n)
        out[k++] = tmp[--n];
    out[k] = 0;
    return out;
}

static const char *sdec(i128 v, char *out) {
    if (v >= 0)
        return dec((u128)v, out);
    out[0] = '-';
    dec(-(u128)v, out + 1);
    return out;
}

__attribute__((noinline)) static i128 mix(int a, i128 b, long c, u128 d, char e, i128 f) { return b * a + (i128)(d >> 3) - c * f + e; }

static u128 power(u128 base, int n) {
    u128 r = 1;
    while (n--)
        r *= base;
    return r;
}

static u128 constants[] = {1, (u128)1 << 64, ~(u128)0, ((u128)0x0123456789abcdefULL << 64) | 0xfedcba9876543210ULL};

int main(void) {
    char a[48], b[48], c[48];
    printf("max %s %s %s\n", dec(~(u128)0, a), sdec((i128)(~(u128)0 >> 1), b), sdec((i128)((u128)1 << 127), c));
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 4; j++) {
            u128 x = constants[i], y = constants[j];
            printf("%u%u + %s", i, j, dec(x + y, a));
            printf(" - %s * %s", dec(x - y, b), dec(x * y, c));
            printf(" / %s %% %s", dec(x / y, a), dec(x % y, b));
            printf(" s/ %s s%% %s\n", sdec((i128)x / (i128)(y >> 1 | 1), a), sdec((i128)x % (i128)(y >> 1 | 1), b));
        }
    volatile int shifts[] = {0, 1, 31, 63, 64, 65, 100, 127};
    for (int i = 0; i < 8; i++) {
        u128 v = constants[3] | (u128)1 << 127;
        printf("shift %d: %s %s %s\n", shifts[i], dec(v << shifts[i], a), dec(v >> shifts[i], b), sdec((i128)v >> shifts[i], c));
    }
    printf("power %s %s\n", dec(power(3, 80), a), dec(power(7, 45), b));
    printf("mix %s\n", sdec(mix(-3, (i128)1 << 90, 5, constants[3], 'x', -((i128)77 << 66)), a));
    volatile double d = 1.5e30;
    volatile float f = -2.5e20f;
    printf("from fp %s %s\n", dec((u128)d, a), sdec((i128)f, b));
    printf("to fp %.17g %.9g %.17g\n", (double)constants[3], (double)(float)-(i128)power(10, 30), (double)(i128)constants[2]);
    printf("compare %d %d %d\n", (i128)constants[2] < 0, constants[2] > constants[3], constants[1] == (u128)1 << 64);
    u128 carry;
    printf("overflow %d", __builtin_mul_overflow(constants[2], (u128)2, &carry));
    int over = __builtin_add_overflow(constants[3], constants[1], &carry);
    printf(" %d %s\n", over, dec(carry, a));
    return 0;
}
