#include <stddef.h>
#include <wchar.h>
#include "strings.h"
const char *other_greeting(void) { return "a greeting that two files share"; }
const char *other_tail(void) { return "two files share"; }
double other_constant(int n) { return n ? 0.1 * n + 123456.789 : 2.718281828459045; }
const int *other_wide(void) { return (const int *)L"wide \x263a text"; }
