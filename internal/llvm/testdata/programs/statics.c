// Local functions and variables, string constants used by several functions, tables of both, constructors.
#include <stdio.h>
#include <stdarg.h>
#include <string.h>

static int counter = 5;
static const int primes[] = {2, 3, 5, 7};
static const char *const names[] = {"zero", "one", "two"};
int common_like;
static struct { int a; const char *s; int (*f)(int); } record;

static int twice(int x) { counter++; return 2 * x; }
static int thrice(int x) { counter += 2; return 3 * x; }
static int (*const table[])(int) = {twice, thrice};

static int calls(void) { static int n; return ++n; }
int more_calls(void) { static int n = 100; return ++n; }

__attribute__((constructor)) static void early(void) { record.a = 7; record.s = names[2]; record.f = table[1]; printf("early\n"); }
__attribute__((destructor)) static void late(void) { printf("late %d\n", counter); }
__attribute__((constructor(101))) static void first(void) { printf("first\n"); }

static int sum(int n, ...) {
  va_list ap;
  va_start(ap, n);
  int s = 0;
  while (n--) s += va_arg(ap, int);
  va_end(ap);
  return s;
}

__attribute__((weak)) int weakling(void) { return 11; }
__attribute__((noinline)) int self(int (*f)(int), int x) { return f == twice ? 1 : f(x); }

__thread int tls = 3;
static __thread int static_tls = 4;
static int tls_sum(void) { return ++tls + ++static_tls; }

int main(int argc, char **argv) {
  for (int i = 0; i < 4; i++) printf("%d %d\n", primes[i], table[i & 1](i));
  printf("%d %d %d %d\n", calls(), calls(), more_calls(), more_calls());
  printf("%d %s %d\n", record.a, record.s, record.f(5));
  printf("%d %d %d\n", sum(3, 1, 2, 3), weakling(), self(twice, 1) + self(thrice, 2));
  printf("%d %d\n", tls_sum(), tls_sum());
  char buf[64] = "copy of a string constant";
  printf("%s %zu %d\n", buf, strlen(names[argc]), common_like += counter);
  return 0;
}
