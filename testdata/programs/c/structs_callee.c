#include "structs.h"

#define DEFINE_BYTES(n) \
    struct b##n turn_b##n(struct b##n s, int by) { \
        struct b##n r; \
        for (int i = 0; i < n; i++) \
            r.v[(i + by) % n] = (unsigned char)(s.v[i] + by); \
        return r; \
    } \
    unsigned sum_b##n(int before, struct b##n s, double between, struct b##n t, int after) { \
        unsigned sum = (unsigned)before * 31 + (unsigned)(between * 8) + (unsigned)after; \
        for (int i = 0; i < n; i++) \
            sum = sum * 33 + s.v[i] * 7u + t.v[n - 1 - i]; \
        return sum; \
    }
#define DEFINE_COUNT(n) \
    struct i##n add_i##n(struct i##n s, struct i##n t) { \
        for (int i = 0; i < n; i++) \
            s.v[i] = s.v[i] * 2 + t.v[n - 1 - i]; \
        return s; \
    } \
    struct f##n add_f##n(struct f##n s, struct f##n t) { \
        for (int i = 0; i < n; i++) \
            s.v[i] = s.v[i] * 0.5f + t.v[n - 1 - i]; \
        return s; \
    }
#define DEFINE_SHAPE(name, members) \
    struct s_##name next_##name(struct s_##name s, int by) { \
        s.a += by; \
        return s; \
    } \
    struct s_##name spill_##name(int a, int b, int c, int d, int e, double f, double g, struct s_##name s, struct s_##name t, int h) { \
        s.a += a + b + c + d + e + (int)f + (int)g + h; \
        s.a -= t.a; \
        return s; \
    }

EACH_SIZE(DEFINE_BYTES)
EACH_COUNT(DEFINE_COUNT)
EACH_SHAPE(DEFINE_SHAPE)
EACH_LONE(DEFINE_SHAPE)
