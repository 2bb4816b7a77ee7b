const char *other_greeting(void), *other_tail(void);
double other_constant(int);
const int *other_wide(void);
