/* Function pointers: equal in every translation unit, in tables, struct members and returns; statics of equal names; static locals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "funcptr.h"

static int helper(int a, int b) { return a * b; }
static const op table[] = {add, sub, helper};
struct object { const char *name; op method; struct object *next; };
static struct object second = {"second", helper, NULL}, first = {"first", sub, &second};
size_t (*volatile length)(const char *) = strlen;
static int (*const absolute)(int) = abs;

static int counter_local(void) {
    static int n = 100;
    static int *where = &n;
    return ++*where;
}

static op choose(int i) { return i % 3 == 0 ? add : i % 3 == 1 ? helper : get_static(); }

int main(void) {
    printf("same %d %d %d\n", get_add() == add, other_table[0] == table[0], other_table[2] == table[2]);
    printf("different statics %d\n", get_static() != helper);
    for (int i = 0; i < 4; i++)
        printf("other %d: %d %s\n", i, call_through(other_table[i], 7, 5), other_table[i] ? describe(other_table[i]) : "null");
    for (int i = 0; i < 3; i++)
        printf("own %d: %d %s\n", i, call_through(table[i], 7, 5), describe(table[i]));
    for (int i = 0; i < 6; i++)
        printf("choose %d: %d\n", i, choose(i)(i, 2));
    for (struct object *o = &first; o; o = o->next)
        printf("%s: %d\n", o->name, o->method(9, 4));
    printf("libc %zu %d, same in the other file: %s\n", length("twelve bytes"), absolute(-5), describe((op)(void *)absolute));
    printf("libc pointer equal %d\n", length == strlen);
    for (int i = 0; i < 3; i++)
        printf("counters %d %d\n", counter_next(), counter_local());
    op copy[3];
    memcpy(copy, table, sizeof copy);
    printf("copied %d %d\n", copy[2](6, 7), memcmp(copy, table, sizeof copy));
    return 0;
}
