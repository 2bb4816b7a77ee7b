/* SSE2 intrinsics and the compilers' vector extensions: constants from memory, calls with vector arguments, aligned locals. */
#include <emmintrin.h>
#include <stdint.h>
#include <stdio.h>

typedef int v4si __attribute__((vector_size(16)));
typedef float v4sf __attribute__((vector_size(16)));
typedef double v2df __attribute__((vector_size(16)));
typedef short v8hi __attribute__((vector_size(16)));
typedef unsigned char v16qi __attribute__((vector_size(16)));

static const v4si weights = {1, -2, 3, -4};
v4sf global_vector = {0.5f, 1.5f, 2.5f, 3.5f};

__attribute__((noinline)) static v4sf blend(v4sf a, v4si mask, v4sf b, double scale) {
    v4si bits = (mask & (v4si)a) | (~mask & (v4si)b);
    return (v4sf)bits * (float)scale;
}

__attribute__((noinline)) static __m128d horner(__m128d x) {
    __m128d r = _mm_set1_pd(0.125);
    r = _mm_add_pd(_mm_mul_pd(r, x), _mm_set_pd(2.0, 1.0));
    r = _mm_add_pd(_mm_mul_pd(r, x), _mm_set_pd(-1.0, 0.5));
    return _mm_div_pd(r, _mm_sqrt_pd(_mm_add_pd(x, _mm_set1_pd(4.0))));
}

static uint32_t checksum(const uint8_t *p, int n) {
    __m128i sum = _mm_setzero_si128();
    for (int i = 0; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(p + i));
        sum = _mm_add_epi64(sum, _mm_sad_epu8(v, _mm_set1_epi8((char)i)));
    }
    return (uint32_t)(_mm_cvtsi128_si32(sum) + _mm_cvtsi128_si32(_mm_srli_si128(sum, 8)));
}

static void show4(const char *name, v4sf v) { printf("%s %.4f %.4f %.4f %.4f\n", name, v[0], v[1], v[2], v[3]); }

int main(void) {
    v4si a = {10, 20, 30, 40}, b = a * weights + 7;
    printf("ints %d %d %d %d\n", b[0], b[1], b[2], b[3]);
    v4si mask = b > 0;
    show4("blend", blend(global_vector, mask, (v4sf){-1, -2, -3, -4}, 1.25));
    __m128d h = horner(_mm_set_pd(3.0, -2.0));
    printf("horner %.12f %.12f\n", ((v2df)h)[0], ((v2df)h)[1]);

    uint8_t bytes[259];
    for (int i = 0; i < 259; i++)
        bytes[i] = (uint8_t)(i * i * 13 + 5);
    printf("checksum %u %u\n", checksum(bytes, 256), checksum(bytes + 3, 256));

    __m128i s = _mm_set_epi16(8, -7, 6, -5, 4, -3, 2, -1), t = _mm_set1_epi16(300);
    v8hi low = (v8hi)_mm_mullo_epi16(s, t), high = (v8hi)_mm_packs_epi16(_mm_slli_epi16(s, 6), s);
    for (int i = 0; i < 8; i++)
        printf("%d/%d ", low[i], high[i]);
    printf("\n");
    v16qi q = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    q = __builtin_shufflevector(q, q << 3, 0, 31, 2, 29, 4, 27, 6, 25, 8, 23, 10, 21, 12, 19, 14, 17);
    for (int i = 0; i < 16; i++)
        printf("%d ", q[i]);
    printf("movemask %d\n", _mm_movemask_epi8((__m128i)(q > 30)));

    float line[37], total = 0;
    for (int i = 0; i < 37; i++)
        line[i] = (float)(i % 7) - 2.5f;
    for (int i = 0; i < 37; i++)
        line[i] = line[i] * 2.0f + (float)i;
    for (int i = 0; i < 37; i++)
        total += line[i];
    printf("loop %.3f\n", total);
    int aligned = 1;
    v4sf locals[3] = {global_vector, global_vector + 1, global_vector * 2};
    for (int i = 0; i < 3; i++)
        aligned &= ((uintptr_t)&locals[i] & 15) == 0;
    show4("last", locals[2] - locals[1]);
    printf("aligned %d\n", aligned && ((uintptr_t)&global_vector & 15) == 0);
    return 0;
}
