/* _Complex arithmetic (calls the compiler's run-time library), libm through pointers and tables. */
#include <complex.h>
#include <math.h>
#include <stdio.h>

static double (*const functions[])(double) = {sin, cos, tan, exp, log, sqrt, cbrt, floor, fabs, tgamma};
static double twice(double (*f)(double), double x) { return f(f(x)); }

__attribute__((noinline)) static double complex polynomial(double complex z, const double complex *c, int n) {
    double complex r = 0;
    while (n--)
        r = r * z + c[n];
    return r;
}

__attribute__((noinline)) static float complex divide(float complex a, float complex b) { return a / b; }

int main(void) {
    const double complex c[] = {1, 2 + 3 * I, -1.5 * I, 0.25};
    for (int k = 0; k < 4; k++) {
        double complex z = polynomial(k * 0.5 - I * k, c, 4);
        printf("polynomial %d: %.12f %.12f abs %.12f\n", k, creal(z), cimag(z), cabs(z));
    }
    float complex q = divide(3.0f + 4.0f * I, 1.0f - 2.0f * I);
    printf("divide %.6f %.6f\n", (double)crealf(q), (double)cimagf(q));
    double complex w = cexp(I * 3.141592653589793 / 3), inf = (INFINITY + 0 * I) * (1.0 + I);
    printf("exp %.12f %.12f, infinite %d\n", creal(w), cimag(w), isinf(creal(inf)) != 0 || isinf(cimag(inf)) != 0);
    long double complex l = (1.0L + 2.0L * I) * (3.0L - 1.0L * I) / (2.0L + I);
    printf("long %.15Lf %.15Lf\n", creall(l), cimagl(l));
    for (unsigned i = 0; i < sizeof functions / sizeof functions[0]; i++)
        printf("f%u %.10g %.10g\n", i, functions[i](1.75), twice(functions[i], 2.5));
    int e, sign;
    double m = frexp(-48.0, &e), g = lgamma_r(-0.5, &sign);
    printf("%g %d %.10f %d %g %g %ld\n", m, e, g, sign, hypot(3, 4), fmod(7.5, -2), lround(-2.5));
    return 0;
}
