/* Named sections: a table that the program gathers with __start_ and __stop_ symbols, code in a section of its own. */
#include <stdio.h>
#include <string.h>

struct entry { const char *name; int (*run)(int); };
#define REGISTER(fn) \
    static const struct entry entry_##fn __attribute__((used, section("registry"), aligned(16))) = {#fn, fn}

static int twice(int n) { return n * 2; }
static int square(int n) { return n * n; }
__attribute__((section(".text.unusual"), noinline)) static int negate(int n) { return -n; }
REGISTER(twice);
REGISTER(square);
REGISTER(negate);
extern const struct entry __start_registry[], __stop_registry[];
static int counters[4] __attribute__((section("writable_registry"))) = {1, 2, 3, 4};

int main(void) {
    /* compilers differ in the order of the entries: look each up by its name */
    const char *names[] = {"negate", "square", "twice", "absent"};
    int n = (int)(__stop_registry - __start_registry);
    for (int i = 0; i < 4; i++)
        for (const struct entry *e = __start_registry; e < __stop_registry; e++)
            if (strcmp(e->name, names[i]) == 0)
                printf("%s %d\n", e->name, e->run(12));
    for (int i = 0; i < 4; i++)
        counters[i] *= n;
    printf("%d entries, %d\n", n, counters[3]);
    return 0;
}
