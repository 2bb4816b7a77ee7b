/* setjmp and longjmp: across frames, nested handlers, out of a libc callback, values of volatile locals. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct handler {
    jmp_buf env;
    struct handler *outer;
};
static struct handler *current;

__attribute__((noreturn)) static void raise_error(int code) { longjmp(current->env, code); }

static int deep(int depth, int limit) {
    volatile char pad[100];
    memset((void *)pad, depth, sizeof pad);
    if (depth == limit)
        raise_error(depth + 100);
    return deep(depth + 1, limit) + pad[depth % 100];
}

static int protect(int (*body)(int), int arg, int *code) {
    struct handler h = {.outer = current};
    int result = -1;
    *code = setjmp(h.env);
    current = &h;
    if (*code == 0)
        result = body(arg);
    current = h.outer;
    return result;
}

static int throws(int n) { return deep(0, n); }

static int nested(int n) {
    int code, result = protect(throws, n, &code);
    printf("  inner: code %d, result %d\n", code, result);
    if (n % 2)
        raise_error(7);
    return n * 10;
}

static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    if (x == 13 || y == 13)
        raise_error(13);
    return (x > y) - (x < y);
}

static int sorts(int bad) {
    int v[20];
    for (int i = 0; i < 20; i++)
        v[i] = (i * 7) % 20 == 13 && !bad ? 99 : (i * 7) % 20;
    qsort(v, 20, sizeof v[0], compare);
    return v[19];
}

int main(void) {
    int code, result;
    for (int n = 0; n < 4; n++) {
        result = protect(nested, n, &code);
        printf("outer %d: code %d, result %d\n", n, code, result);
    }
    result = protect(sorts, 0, &code);
    printf("sort: code %d, result %d\n", code, result);
    result = protect(sorts, 1, &code);
    printf("sort left by longjmp: code %d, result %d\n", code, result);

    jmp_buf again;
    volatile int turns = 0;
    int value = setjmp(again);
    turns++;
    if (turns < 50)
        longjmp(again, turns);
    printf("turns %d, last value %d\n", turns, value);
    volatile int zero = 0;
    value = setjmp(again);
    if (value == 0) {
        zero = 1;
        longjmp(again, 0);
    }
    printf("longjmp with 0 gives %d (zero=%d)\n", value, zero);
    return current == NULL ? 0 : 1;
}
