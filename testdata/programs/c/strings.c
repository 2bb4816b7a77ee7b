/* Mergeable constants: equal strings, tails, empty and wide strings, floating constants of 4, 8 and 16 bytes, pointers into strings. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uchar.h>
#include <wchar.h>
#include "strings.h"

static const char *const table[] = {"", "a", "ba", "cba", "a greeting that two files share", "share", "\0hidden", "with \"quotes\" and \n"};
static const char *const inside = &"abcdefghij"[4];
static const char array[] = "an array", *const end = array + sizeof array - 1;
static const char16_t utf16[] = u"sixteen \u263a";
static const char32_t *const utf32 = U"thirty-two \U0001F600";

static uint32_t hash(const void *p, size_t n) {
    const unsigned char *c = p;
    uint32_t h = 2166136261u;
    while (n--)
        h = (h ^ *c++) * 16777619u;
    return h;
}

int main(void) {
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        printf("%u %zu %08x\n", i, strlen(table[i]), hash(table[i], strlen(table[i])));
    printf("%s %c %s %d\n", inside, inside[-1], end - 5, table[6][1]);
    printf("%d %d\n", strcmp(other_greeting(), table[4]), strcmp(other_tail(), other_greeting() + 16));
    printf("%08x %08x %08x\n", hash(utf16, sizeof utf16), hash(utf32, 13 * 4), hash(other_wide(), wcslen((const wchar_t *)other_wide()) * 4));
    printf("%.17g %.17g %.9g %.17g\n", other_constant(0), other_constant(3), (double)(0.1f * (float)strlen(inside)), 0.1 * (double)strlen(inside) + 123456.789);
    double values[] = {0.1, 0.2, 2.718281828459045, 123456.789, 1e300, -0.0};
    float floats[] = {0.1f, 0.2f, 3.5f, 1e30f};
    printf("%08x %08x\n", hash(values, sizeof values), hash(floats, sizeof floats));
    char copy[64] = "copied by value";
    strcat(copy, " and extended");
    printf("%s %s %zu\n", copy, &"literal"[3], sizeof "literal");
    return 0;
}
