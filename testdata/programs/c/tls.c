/* Thread-local storage: initialised, zero, aligned, static and local, in the first and in other threads, across two translation units. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "tls.h"

static _Thread_local int local_counter = 7; /* the other file has a static of the same name */
static _Thread_local struct { int a; double b; char c[3]; } record = {1, 2.5, "xy"};

struct report { int start, counter, local, bumps, zeros, aligned, same, err; const char *text; double b; };

static void *work(void *arg) {
    struct report *r = arg;
    int n = r->start;
    r->zeros = 1;
    for (int i = 0; i < 300; i++)
        r->zeros &= big_zero[i] == 0;
    for (int i = 0; i < n; i++) {
        shared_counter += i;
        big_zero[i] = i;
        local_counter++;
        r->bumps = bump_local();
    }
    r->counter = shared_counter;
    r->local = local_counter;
    r->aligned = ((uintptr_t)aligned_block & 63) == 0 && strcmp(aligned_block, "aligned") == 0;
    r->same = address_of_counter() == &shared_counter;
    r->text = text_pointer;
    text_pointer = "changed";
    record.b *= n;
    r->b = record.b;
    errno = n;
    r->err = errno;
    return NULL;
}

int main(void) {
    enum { threads = 6 };
    struct report reports[threads + 1] = {0};
    pthread_t ids[threads];
    errno = 77;
    for (int i = 0; i < threads; i++) {
        reports[i].start = (i + 1) * 10;
        if (pthread_create(&ids[i], NULL, work, &reports[i]) != 0)
            return 1;
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    reports[threads].start = 3;
    printf("main errno %d\n", errno);
    work(&reports[threads]);
    for (int i = 0; i <= threads; i++) {
        struct report *r = &reports[i];
        printf("%d: counter %d local %d bumps %d zeros %d aligned %d same %d text '%s' b %.1f errno %d\n", r->start, r->counter, r->local,
               r->bumps, r->zeros, r->aligned, r->same, r->text, r->b, r->err);
    }
    printf("main: %s %d %s\n", text_pointer, record.a, record.c);
    return 0;
}
