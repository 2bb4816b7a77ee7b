extern _Thread_local int shared_counter;
extern _Thread_local long big_zero[300];
extern _Thread_local char aligned_block[64];
extern _Thread_local const char *text_pointer;
int *address_of_counter(void);
int bump_local(void);
