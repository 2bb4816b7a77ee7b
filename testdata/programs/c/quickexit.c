/* quick_exit: runs the at_quick_exit handlers, not those of atexit, and no destructor. */
#include <stdio.h>
#include <stdlib.h>

static void quick(void) { printf("quick handler\n"); fflush(stdout); }
static void never(void) { printf("must not run\n"); fflush(stdout); }
__attribute__((destructor)) static void destructor(void) { printf("must not run either\n"); fflush(stdout); }

int main(void) {
    atexit(never);
    at_quick_exit(quick);
    printf("main\n");
    fflush(stdout);
    quick_exit(9);
}
