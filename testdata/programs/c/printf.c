/* printf of many kinds, wide output, scanf: floating constants, strings, positional arguments, rounding, buffers. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

int main(void) {
    printf("%d|%5d|%-5d|%05d|%+d|% d|%x|%#X|%o|%#o\n", 42, 42, 42, 42, 42, 42, 48879, 48879, 8, 8);
    printf("%hhd %hd %ld %lld %zu %jd %td %" PRIu64 "\n", 300, 70000, 1L << 40, -(1LL << 50), (size_t)-1, (intmax_t)-5, (ptrdiff_t)9, UINT64_MAX);
    printf("%f|%.0f|%.3f|%10.2f|%-10.2f|%+.1f|%e|%.2E|%g|%G|%a\n", 3.14159, 2.5, 2.0 / 3, -1.005, 1.005, 0.05, 12345.678, 1e-300, 1e15, 1e-5, 0.1);
    printf("%f %F %g %g %.1f %.20f\n", INFINITY, -INFINITY, (double)NAN, -0.0, 0.25, 0.1);
    printf("%s|%10s|%-10s|%.3s|%*.*s|%c|%%\n", "text", "right", "left", "truncate", 8, 2, "star", 'c');
    printf("%2$s %1$d %2$s\n", 5, "again");
    printf("%Lf %.3Le %ls %lc\n", 1.5L, 12345.678L, L"wide", L'w');
    printf("%p %d", (void *)0, 12345);
    printf("\n%08.3f %+08d %#.0f %#g\n", -3.14159, 77, 3.0, 2.0);
    char text[64];
    int n = snprintf(text, sizeof text, "%s-%d", "built", 7), a, b;
    float f;
    double d;
    char w[16];
    printf("%d %s %d\n", n, text, snprintf(NULL, 0, "%1000d", 1));
    n = sscanf("12 0x1f word 2.5 -1e3", "%d %i %15s %f %lf", &a, &b, w, &f, &d);
    printf("%d: %d %d %s %g %g\n", n, a, b, w, (double)f, d);
    printf("%ld %lu %g %d\n", strtol("-0777", NULL, 8), strtoul("ffff", NULL, 16), strtod("1e-3x", NULL), atoi("99 bottles"));
    wchar_t wide[32];
    swprintf(wide, 32, L"%ls %d", L"sixteen", 16);
    printf("%zu %ls\n", wcslen(wide), wide);
    puts("puts");
    putchar('p');
    fputs("fputs\n", stdout);
    fwrite("fwrite\n", 1, 7, stdout);
    fprintf(stderr, "to stderr: %d %s\n", 1, "line");
    return 0;
}
