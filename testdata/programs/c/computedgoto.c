/* Computed goto: static tables of label addresses, of label differences, labels stored and passed, an interpreter. */
#include <stdio.h>

enum { PUSH, ADD, MUL, SUB, DUP, SWAP, JNZ, DEC, PRINT, HALT };

static long run(const int *code) {
    static const void *const table[] = {&&push, &&add, &&mul, &&sub, &&dup, &&swap, &&jnz, &&dec, &&print, &&halt};
    long stack[32], *sp = stack, t;
    const int *pc = code;
#define NEXT goto *table[*pc++]
    NEXT;
push: *sp++ = *pc++; NEXT;
add: sp--; sp[-1] += sp[0]; NEXT;
mul: sp--; sp[-1] *= sp[0]; NEXT;
sub: sp--; sp[-1] -= sp[0]; NEXT;
dup: sp[0] = sp[-1]; sp++; NEXT;
swap: t = sp[-1]; sp[-1] = sp[-2]; sp[-2] = t; NEXT;
jnz: t = *pc++; if (sp[-1]) pc = code + t; NEXT;
dec: sp[-1]--; NEXT;
print: printf("  top %ld\n", sp[-1]); NEXT;
halt: return sp[-1];
}

/* Threaded code: the labels are put into the program once. */
static long threaded(const int *code, int n, long input) {
    static const int offsets[] = {&&inc - &&inc, &&twice - &&inc, &&less - &&inc, &&out - &&inc};
    const void *direct[16];
    for (int i = 0; i < n; i++)
        direct[i] = (const char *)&&inc + offsets[code[i]];
    const void **pc = direct;
    long acc = input;
    goto **pc++;
inc: acc += 3; goto **pc++;
twice: acc *= 2; goto **pc++;
less: acc -= 1; goto **pc++;
out: return acc;
}

static int states(const char *text) {
    static void *const next[2][3] = {{&&zero, &&one, &&end}, {&&zero, &&one, &&end}};
    int ones = 0, changes = 0, state = 0;
#define STEP(s) do { state = (s); int c = *text++; goto *next[state][c == 0 ? 2 : c - '0']; } while (0)
    STEP(0);
zero: changes += state != 0; STEP(0);
one: ones++; changes += state != 1; STEP(1);
end: return ones * 100 + changes;
}

int main(void) {
    /* accumulator 1, counter 10: acc = acc*counter until the counter is 0 */
    static const int factorial[] = {PUSH, 1, PUSH, 10, SWAP, PUSH, 1, MUL, SWAP, DUP, PRINT, DEC, JNZ, 4, ADD, PUSH, 100, SUB, HALT};
    printf("run %ld\n", run(factorial));
    static const int program[] = {0, 1, 0, 1, 2, 3};
    for (long i = 0; i < 4; i++)
        printf("threaded %ld\n", threaded(program, 6, i * 11));
    printf("states %d %d\n", states("0110100111"), states(""));
    return 0;
}
