/* Constructors and destructors with priorities in two files, atexit handlers that register more, and main's result as exit status. */
#include <stdio.h>
#include <stdlib.h>

static int ready;
__attribute__((constructor(300))) static void c300(void) { printf("ctor 300\n"); ready += 300; }
__attribute__((constructor(102))) static void c102(void) { printf("ctor 102\n"); ready += 102; }
__attribute__((constructor)) static void plain(void) { printf("plain ctor %d\n", ready); }
__attribute__((destructor(102))) static void d102(void) { printf("dtor 102\n"); }
__attribute__((destructor(300))) static void d300(void) { printf("dtor 300\n"); }
__attribute__((destructor)) static void done(void) { printf("plain dtor\n"); }

static void nested(void) { printf("atexit: registered while exiting\n"); }
static void second(void) { printf("atexit: second\n"); atexit(nested); }
static void first(void) { printf("atexit: first\n"); }

int main(int argc, char **argv) {
    printf("main %d argc %d %s\n", ready, argc, argv[1]);
    atexit(first);
    atexit(second);
    return 7;
}
