// Label addresses: in constant tables, in tables that are written, and as offsets.
#include <stdio.h>

static int interpret(const unsigned char *code) {
  static const void *const ops[] = {&&add, &&sub, &&out, &&halt};
  int acc = 0;
  goto *ops[*code++];
add: acc += 5; goto *ops[*code++];
sub: acc -= 3; goto *ops[*code++];
out: printf("acc %d\n", acc); goto *ops[*code++];
halt: return acc;
}

int state(int n) {
  static void *next = &&one;
  int s = 0;
  while (n--) {
    goto *next;
  one: s += 1; next = &&two; continue;
  two: s += 10; next = &&one; continue;
  }
  return s;
}

static int offsets(int i) {
  static const int rel[] = {&&a - &&a, &&b - &&a, &&c - &&a};
  goto *(&&a + rel[i]);
a: return 100;
b: return 200;
c: return 300;
}

int main(void) {
  static const unsigned char program[] = {0, 0, 2, 1, 2, 0, 2, 3};
  printf("%d\n", interpret(program));
  printf("%d %d\n", state(3), state(4));
  printf("%d %d %d\n", offsets(0), offsets(1), offsets(2));
  return 0;
}
