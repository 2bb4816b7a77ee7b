/* Linkage: weak definitions against strong ones, undefined weak, aliases, hidden and protected, common symbols in two files. */
#include <stdio.h>
#include "linkage.h"

int common_small;
int common_big[100];
__attribute__((weak)) int strong_over_weak = 11;
__attribute__((weak)) int default_or_strong(void) { return 1; }
__attribute__((weak)) int only_weak(void) { return 33; }

int main(void) {
    printf("weak and strong: %d %d %d %d\n", strong_over_weak, default_or_strong(), only_weak(), weak_data);
    printf("missing: %d %d\n", &missing_weak_data == 0, missing_weak_function == 0);
    if (missing_weak_function)
        return missing_weak_function();
    printf("hidden %d protected %d\n", hidden_value(), protected_value());
    for (int i = 0; i < 4; i++)
        printf("alias %d %d %d\n", aliased(i), alias_of(i), weak_alias_of(i));
    printf("other %d %d\n", from_other(), from_other());
    printf("common %d %d, alias data %d\n", common_small, common_big[99], alias_data[1]);
    int (*volatile one)(int) = aliased, (*volatile two)(int) = alias_of;
    printf("an alias has the same address: %d\n", one == two);
    return 0;
}
