/* exit() from deep inside with a status, with handlers still to run and output still in the buffer. */
#include <stdio.h>
#include <stdlib.h>

static int *heap;
static void handler(void) { printf("handler sees %d", *heap); }

static int descend(int n) {
    if (n == 0)
        exit(*heap);
    return descend(n - 1) + n;
}

int main(void) {
    heap = malloc(sizeof *heap);
    if (!heap)
        return 1;
    *heap = 42;
    atexit(handler);
    printf("leaving\n");
    return descend(20);
}
