#include "linkage.h"
int common_small;
int common_big[100];
int strong_over_weak = 22;
int weak_data __attribute__((weak)) = 5;
static int data[4] = {10, 20, 30, 40};
extern int alias_data[4] __attribute__((alias("data")));
int default_or_strong(void) { return 2; }
int only_weak(void);
__attribute__((weak)) int only_weak(void) { return 33; }
__attribute__((visibility("hidden"))) int hidden_value(void) { return 44; }
__attribute__((visibility("protected"))) int protected_value(void) { return hidden_value() + 11; }
int aliased(int n) { return n * 3 + data[n & 3]; }
int alias_of(int n) __attribute__((alias("aliased")));
int weak_alias_of(int n) __attribute__((weak, alias("aliased")));
int from_other(void) {
    common_small += 1;
    common_big[99] += common_small;
    data[1]++;
    return weak_data + strong_over_weak + default_or_strong();
}
