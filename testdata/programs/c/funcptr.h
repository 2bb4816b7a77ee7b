typedef int (*op)(int, int);
extern const op other_table[4];
op get_add(void), get_static(void);
int add(int, int), sub(int, int);
int call_through(op f, int a, int b);
int counter_next(void);
const char *describe(op f);
