/* Indirect functions: the resolver chooses at load; called directly, through a pointer, from a table, and static. */
#include <stdio.h>

static int wanted = 2; /* initialised data is there before a resolver runs */

static int one(int n) { return n + 1; }
static int two(int n) { return n * 2; }
static int (*resolve(void))(int) { return wanted == 2 ? two : one; }
static int (*resolve_other(void))(int) { return wanted == 2 ? one : two; }

int chosen(int) __attribute__((ifunc("resolve")));
static int other(int) __attribute__((ifunc("resolve_other")));
static int (*const table[])(int) = {chosen, other};
int (*volatile pointer)(int) = chosen;

int main(void) {
    printf("%d %d %d %d %d\n", chosen(21), other(21), table[0](5), table[1](5), pointer(100));
    return 0;
}
