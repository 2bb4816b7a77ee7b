// Aliases, indirect functions, sections with bounds, assembly that names things, always_inline.
#include <stdio.h>
#include <immintrin.h>

static int original(int x) { return x + 1; }
int renamed(int x) __attribute__((alias("original")));
static int hidden_alias(int x) __attribute__((alias("original")));
int data[2] = {1, 2};
extern int data_alias[2] __attribute__((alias("data")));
int weak_alias(int) __attribute__((weak, alias("original")));

static int fast(int x) { return x * 10; }
static int slow(int x) { return x * 10; }
static int (*resolve(void))(int) { return sizeof(void *) == 8 ? fast : slow; }
int chosen(int x) __attribute__((ifunc("resolve")));

struct entry { const char *name; int value; };
#define ENTRY(n, v) static const struct entry entry_##n __attribute__((used, section("entries"))) = {#n, v}
ENTRY(alpha, 1);
ENTRY(beta, 2);
extern const struct entry __start_entries[], __stop_entries[];

static int from_asm(int x) __attribute__((used));
static int from_asm(int x) { return x - 1; }
__asm__(".text\n.globl asm_entry\n.type asm_entry,@function\nasm_entry:\n jmp from_asm\n");
int asm_entry(int);

static int asm_value __attribute__((used)) = 77;
static int in_line(void) { int r; __asm__("movl asm_value(%%rip), %0" : "=r"(r)); return r; }

static inline __attribute__((always_inline)) int forced(int x) { static int n; n += x; return n; }
__attribute__((always_inline)) inline int visible(int x) { return x * x; }
int visible(int x);
static inline __attribute__((always_inline)) int addressed(int x) { return x + 40; }
static int (*pointer)(int) = addressed;
static int uses1(int x) { return forced(x) + visible(x); }
static int uses2(int x) { return forced(x) + addressed(x) + pointer(x); }
static int sse(int x) { __m128i v = _mm_set1_epi32(x); v = _mm_slli_epi32(v, 3); return _mm_extract_epi16(v, 2); }

int main(void) {
  printf("%d %d %d\n", renamed(1), hidden_alias(2), weak_alias(3));
  data[1] = 9;
  printf("%d %d\n", data_alias[0], data_alias[1]);
  printf("%d\n", chosen(4));
  for (const struct entry *e = __start_entries; e < __stop_entries; e++) printf("%s %d\n", e->name, e->value);
  printf("%d %d\n", asm_entry(10), in_line());
  printf("%d %d %d\n", uses1(2), uses2(3), sse(5));
  return 0;
}
