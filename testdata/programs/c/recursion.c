/* Recursion of all kinds: mutual, deep, through pointers, tail calls, Ackermann, a solver. */
#include <stdio.h>
#include <string.h>

static int is_even(unsigned n);
static int is_odd(unsigned n) { return n == 0 ? 0 : is_even(n - 1); }
static int is_even(unsigned n) { return n == 0 ? 1 : is_odd(n - 1); }

static unsigned ackermann(unsigned m, unsigned n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }

static long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static int solve(int row, int n, unsigned columns, unsigned left, unsigned right) {
    int found = 0;
    if (row == n)
        return 1;
    for (unsigned free = ~(columns | left | right) & ((1u << n) - 1); free; free &= free - 1) {
        unsigned bit = free & -free;
        found += solve(row + 1, n, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

struct tree { int value; const struct tree *left, *right; };
static const struct tree leaves[] = {{1, 0, 0}, {3, 0, 0}, {5, 0, 0}, {7, 0, 0}},
                         inner[] = {{2, &leaves[0], &leaves[1]}, {6, &leaves[2], &leaves[3]}}, root = {4, &inner[0], &inner[1]};

static int fold(const struct tree *t, int (*f)(int, int), int start) { return t ? fold(t->right, f, f(fold(t->left, f, start), t->value)) : start; }
static int digits(int acc, int v) { return acc * 10 + v; }
static int total(int acc, int v) { return acc + v; }

static void hanoi(int n, char from, char to, char via, int *moves) {
    if (n == 0)
        return;
    hanoi(n - 1, from, via, to, moves);
    ++*moves;
    hanoi(n - 1, via, to, from, moves);
}

static void permute(char *s, int n, int *count, unsigned *hash) {
    if (n == 1) {
        ++*count;
        for (char *c = s; *c; c++)
            *hash = *hash * 31 + (unsigned char)*c;
        return;
    }
    for (int i = 0; i < n; i++) {
        permute(s, n - 1, count, hash);
        int k = n % 2 ? 0 : i;
        char t = s[k];
        s[k] = s[n - 1];
        s[n - 1] = t;
    }
}

int main(void) {
    printf("even %d odd %d\n", is_even(10000), is_odd(777));
    printf("ackermann %u, fib %ld, queens %d\n", ackermann(2, 300), fib(25), solve(0, 8, 0, 0, 0));
    printf("fold %d %d\n", fold(&root, digits, 0), fold(&root, total, 0));
    int moves = 0, count = 0;
    unsigned hash = 0;
    char text[] = "abcdefg";
    hanoi(14, 'a', 'c', 'b', &moves);
    permute(text, (int)strlen(text), &count, &hash);
    printf("hanoi %d, permutations %d %08x\n", moves, count, hash);
    return 0;
}
