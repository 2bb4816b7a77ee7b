#include "tls.h"
_Thread_local int shared_counter = 41;
_Thread_local long big_zero[300];
_Thread_local char aligned_block[64] __attribute__((aligned(64))) = "aligned";
static int anchor = 5;
_Thread_local const char *text_pointer = "initial text";
_Thread_local int *pointer_to_global = &anchor;
static _Thread_local int local_counter = 100;
int *address_of_counter(void) { return &shared_counter; }
int bump_local(void) {
    static _Thread_local int calls;
    calls++;
    return local_counter += calls + *pointer_to_global;
}
