#include <stdlib.h>
#include "funcptr.h"
static int helper(int a, int b) { return a * 1000 + b; }
int add(int a, int b) { return a + b; }
int sub(int a, int b) { return a - b; }
const op other_table[4] = {add, sub, helper, 0};
op get_add(void) { return add; }
op get_static(void) { return helper; }
int call_through(op f, int a, int b) { return f ? f(a, b) : -1; }
int counter_next(void) {
    static int n;
    return ++n;
}
const char *describe(op f) { return f == add ? "add" : f == sub ? "sub" : f == helper ? "other's helper" : (void *)f == (void *)abs ? "abs" : "unknown"; }
