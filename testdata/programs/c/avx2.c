/* AVX2 in functions of their own, chosen at run time; the plain version must give the same, so the output is the same on any host. */
#include <immintrin.h>
#include <stdio.h>

typedef int v8si __attribute__((vector_size(32)));
static const int coefficients[8] __attribute__((aligned(32))) = {3, -1, 4, -1, 5, -9, 2, 6};

__attribute__((target("avx2"))) static long dot_avx2(const int *a, const int *b, int n) {
    __m256i sum = _mm256_setzero_si256(), k = _mm256_load_si256((const __m256i *)coefficients);
    for (int i = 0; i < n; i += 8) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(a + i)), y = _mm256_loadu_si256((const __m256i *)(b + i));
        sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_mullo_epi32(x, y), k));
    }
    int lanes[8] __attribute__((aligned(32)));
    _mm256_store_si256((__m256i *)lanes, sum);
    long total = 0;
    for (int i = 0; i < 8; i++)
        total += lanes[i];
    return total;
}

static long dot_plain(const int *a, const int *b, int n) {
    int lanes[8] = {0};
    for (int i = 0; i < n; i++)
        lanes[i % 8] += a[i] * b[i] * coefficients[i % 8];
    long total = 0;
    for (int i = 0; i < 8; i++)
        total += lanes[i];
    return total;
}

__attribute__((target("avx2"))) static double scale_avx2(const double *v, int n) {
    __m256d sum = _mm256_setzero_pd();
    for (int i = 0; i < n; i += 4)
        sum = _mm256_add_pd(sum, _mm256_mul_pd(_mm256_loadu_pd(v + i), _mm256_set_pd(4, 3, 2, 1)));
    double lanes[4];
    _mm256_storeu_pd(lanes, sum);
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

static double scale_plain(const double *v, int n) {
    double lanes[4] = {0};
    for (int i = 0; i < n; i++)
        lanes[i % 4] += v[i] * (1 + i % 4);
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

int main(void) {
    int a[64], b[64];
    double v[64];
    for (int i = 0; i < 64; i++)
        a[i] = i * 5 - 100, b[i] = 77 - i * 3, v[i] = i * 0.375 - 3;
    __builtin_cpu_init();
    int wide = __builtin_cpu_supports("avx2") != 0;
    long (*dot)(const int *, const int *, int) = wide ? dot_avx2 : dot_plain;
    double (*scale)(const double *, int) = wide ? scale_avx2 : scale_plain;
    printf("dot %ld, plain %ld\n", dot(a, b, 64), dot_plain(a, b, 64));
    printf("scale %.10f, plain %.10f\n", scale(v, 64), scale_plain(v, 64));
    v8si x = *(const v8si *)coefficients * 3; /* wider than the baseline's registers: the compiler splits it */
    printf("split %d %d\n", x[0], x[7]);
    return dot(a, b, 64) == dot_plain(a, b, 64) && scale(v, 64) == scale_plain(v, 64) ? 0 : 1;
}
