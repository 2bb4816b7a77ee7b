/* Structs by value: every size from 1 to 64 as bytes, 1 to 16 ints and floats, mixed shapes, in registers and
   on the stack, directly and through function pointers, across two translation units. */
#include <stdio.h>
#include "structs.h"

#define RUN_BYTES(n) { \
        struct b##n s, (*volatile turn)(struct b##n, int) = turn_b##n; \
        for (int i = 0; i < n; i++) \
            s.v[i] = (unsigned char)(i * 37 + n); \
        struct b##n once = turn_b##n(s, 3), twice = turn(once, 5); \
        printf("b" #n " %u %u\n", sum_b##n(n, s, 1.5, once, -n), sum_b##n(-n, twice, 2.25, turn(turn_b##n(s, 1), 2), n)); \
    }
#define RUN_COUNT(n) { \
        struct i##n s, t, (*volatile addi)(struct i##n, struct i##n) = add_i##n; \
        struct f##n x, y, (*volatile addf)(struct f##n, struct f##n) = add_f##n; \
        for (int i = 0; i < n; i++) \
            s.v[i] = i * i - n, t.v[i] = 100 - i, x.v[i] = (float)i * 0.25f, y.v[i] = (float)(n - i) * 1.5f; \
        s = addi(add_i##n(s, t), t); \
        x = addf(add_f##n(x, y), y); \
        printf("i" #n " %d %d, f" #n " %.4f %.4f\n", s.v[0], s.v[n - 1], (double)x.v[0], (double)x.v[n - 1]); \
    }
#define RUN_SHAPE(name, members) { \
        struct s_##name s = {.a = 1}, (*volatile next)(struct s_##name, int) = next_##name; \
        s.b = 3; \
        s = next(next_##name(s, 2), 4); \
        struct s_##name t = spill_##name(1, 1, 1, 1, 1, 1.5, 1.5, s, next(s, -4), 1); \
        printf(#name " %.2f %.2f, %.2f %.2f\n", (double)s.a, (double)s.b, (double)t.a, (double)t.b); \
    }

int main(void) {
    EACH_SIZE(RUN_BYTES)
    EACH_COUNT(RUN_COUNT)
    EACH_SHAPE(RUN_SHAPE)
    struct s_x x = spill_x(1, 1, 1, 1, 1, 1.5, 1.5, next_x((struct s_x){1e20L}, 2), next_x((struct s_x){0.5L}, 1), 1);
    printf("x %.3Lf\n", x.a);
    struct s_bits s = {.a = -3, .b = 1000, .c = -(1L << 38)};
    s = spill_bits(1, 1, 1, 1, 1, 1.0, 1.0, next_bits(s, 2), next_bits(s, 5), 1);
    printf("bits %d %u %ld\n", s.a, s.b, (long)s.c);
    return 0;
}
