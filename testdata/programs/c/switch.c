/* Switches: dense (jump table), with gaps, sparse (search tree), ranges, by value to constant (lookup table), nested in a loop. */
#include <stdio.h>

__attribute__((noinline)) static int dense(int n, int x) {
    switch (n) {
#define C(k) case k: return x * k + (x ^ k);
    C(0) C(1) C(2) C(3) C(4) C(5) C(6) C(7) C(8) C(9) C(10) C(11) C(12) C(13) C(14) C(15)
    case 16: printf("[16]"); return x;
    case 17: printf("[17]"); return -x;
    case 20: return dense(3, x) + 1;
    case 24: return dense(x & 15, n);
    C(25) C(26) C(27) C(28) C(29) C(30)
    default: return -1;
    }
}

__attribute__((noinline)) static const char *word(unsigned n) {
    switch (n) {
    case 0: return "zero"; case 1: return "one"; case 2: return "two"; case 3: return "three"; case 4: return "four";
    case 5: return "five"; case 6: return "six"; case 7: return "seven"; case 8: return "eight"; case 9: return "nine";
    default: return "many";
    }
}

__attribute__((noinline)) static double value(int n) {
    switch (n) {
    case 1: return 1.5; case 2: return 2.25; case 3: return -3.125; case 4: return 4e10; case 5: return 5e-5; case 6: return 6.75;
    }
    return 0;
}

__attribute__((noinline)) static int sparse(long n) {
    switch (n) {
    case -1000000000000L: return 1;
    case -77: return 2;
    case 3: return 3;
    case 400: return 4;
    case 401: return 5;
    case 70000: return 6;
    case 1L << 33: return 7;
    case 1L << 62: return 8;
    default: return 0;
    }
}

__attribute__((noinline)) static int class(unsigned char c) {
    switch (c) {
    case '0' ... '9': return 1;
    case 'a' ... 'z': case 'A' ... 'Z': case '_': return 2;
    case ' ': case '\t': case '\n': return 3;
    case '+': case '-': case '*': case '/': return 4;
    default: return 0;
    }
}

int main(void) {
    long sum = 0;
    for (int i = -3; i < 34; i++)
        sum = sum * 7 + dense(i, i * 5 + 1);
    printf("dense %ld\n", sum);
    for (unsigned i = 0; i < 12; i++)
        printf("%s ", word(i));
    printf("\n");
    for (int i = 0; i < 8; i++)
        printf("%g ", value(i));
    printf("\n");
    long keys[] = {-1000000000000L, -77, 3, 400, 401, 70000, 1L << 33, 1L << 62, 5};
    for (int i = 0; i < 9; i++)
        printf("%d ", sparse(keys[i]));
    int counts[5] = {0};
    for (int c = 0; c < 256; c++)
        counts[class((unsigned char)c)]++;
    printf("\nclasses %d %d %d %d %d\n", counts[0], counts[1], counts[2], counts[3], counts[4]);
    return 0;
}
