/* chain.c: times run(n) of the chain of functions it is linked with, in ns for each of the 16 calls. */
#include <stdio.h>
#include <time.h>

long run(long n);

int main(void) {
  enum { rounds = 500000, hops = 16, times = 9 };
  double sorted[times];
  for (int i = 0; i < times; i++) {
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    run(rounds);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double took = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / ((double)rounds * hops);
    int j = i;
    for (; j > 0 && sorted[j - 1] > took; j--) sorted[j] = sorted[j - 1];
    sorted[j] = took;
  }
  printf("hop %.4f\n", sorted[times / 2]);
  return 0;
}
