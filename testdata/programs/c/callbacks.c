/* Callbacks from libc: qsort, bsearch, tsearch and twalk, pthread_once. */
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item { char name[12]; unsigned key; double weight; };
static unsigned long compares;

static int by_key(const void *a, const void *b) {
    unsigned x = ((const struct item *)a)->key, y = ((const struct item *)b)->key;
    compares++;
    return (x > y) - (x < y);
}
static int by_name(const void *a, const void *b) { return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name); }
static int by_weight_down(const void *a, const void *b) {
    double x = ((const struct item *)a)->weight, y = ((const struct item *)b)->weight;
    return (x < y) - (x > y);
}
static int strings(const void *a, const void *b) { return strcmp(a, b); }

static int visited;
static void visit(const void *node, VISIT when, int depth) {
    (void)depth;
    if (when == postorder || when == leaf)
        printf("%d:%s ", visited++, *(const char *const *)node);
}

static int inits;
static void init(void) { inits++; }

int main(void) {
    enum { n = 1000 };
    struct item *v = calloc(n, sizeof *v);
    unsigned seed = 12345;
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i].key = seed >> 8;
        v[i].weight = (seed % 977) * 0.5 + i * 1e-6;
        snprintf(v[i].name, sizeof v[i].name, "n%u", seed % 100000);
    }
    int (*orders[])(const void *, const void *) = {by_key, by_name, by_weight_down};
    for (int o = 0; o < 3; o++) {
        qsort(v, n, sizeof *v, orders[o]);
        int sorted = 1;
        for (int i = 1; i < n; i++)
            sorted &= orders[o](&v[i - 1], &v[i]) <= 0;
        printf("order %d: %s %u %.3f sorted %d\n", o, v[0].name, v[0].key, v[n - 1].weight, sorted);
    }
    qsort(v, n, sizeof *v, by_key);
    int found = 0;
    for (int i = 0; i < n; i += 7)
        found += bsearch(&v[i], v, n, sizeof *v, by_key) != NULL;
    printf("found %d, compares %s\n", found, compares > 5000 ? "many" : "few");
    free(v);

    void *root = NULL;
    const char *words[] = {"stub", "slot", "arena", "span", "graph", "edge", "block"};
    for (int i = 0; i < 7; i++)
        tsearch(words[i], &root, strings);
    twalk(root, visit);
    printf("\n");
    pthread_once_t once = PTHREAD_ONCE_INIT;
    for (int i = 0; i < 3; i++)
        pthread_once(&once, init);
    printf("once %d\n", inits);
    return 0;
}
