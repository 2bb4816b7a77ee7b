/* Big frames: large arrays, variable-length arrays, alloca, over-aligned locals, deep recursion. */
#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) static unsigned large(int seed) {
    unsigned v[100000];
    for (int i = 0; i < 100000; i++)
        v[i] = (unsigned)(i * seed);
    unsigned s = 0;
    for (int i = 0; i < 100000; i += 97)
        s = s * 31 + v[i];
    return s;
}

__attribute__((noinline)) static long variable(int n) {
    long v[n];
    char name[n * 2 + 1];
    for (int i = 0; i < n; i++)
        v[i] = i ^ n;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    long s = (long)strlen(name);
    for (int i = 0; i < n; i++)
        s += v[i] * i;
    return n > 10 ? s + variable(n / 2) : s;
}

__attribute__((noinline)) static int aligned(int n) {
    char pad[n];
    _Alignas(256) char block[512];
    pad[0] = 1;
    block[0] = pad[0];
    char *more = alloca((size_t)n * 16);
    memset(more, n, (size_t)n * 16);
    return ((uintptr_t)block & 255) == 0 && block[0] == 1 && more[n * 16 - 1] == (char)n;
}

static int depth(int n, const char *up) {
    char here[64];
    snprintf(here, sizeof here, "%d", n);
    return n == 0 ? (int)strlen(up) : depth(n - 1, here) + (here[0] == '9');
}

int main(void) {
    printf("%u %u\n", large(3), large(-7));
    printf("%ld %ld\n", variable(1000), variable(5));
    int ok = 0;
    for (int n = 1; n < 100; n++)
        ok += aligned(n);
    printf("%d\n", ok);
    printf("%d\n", depth(10000, ""));
    return 0;
}
