#include <stdio.h>
__attribute__((constructor(201))) static void early_other(void) { printf("ctor 201 of the other file\n"); }
__attribute__((constructor(101))) static void first_other(void) { printf("ctor 101 of the other file\n"); }
__attribute__((constructor)) static void plain_other(void) { printf("plain ctor of the other file\n"); }
__attribute__((destructor)) static void done_other(void) { printf("plain dtor of the other file\n"); }
__attribute__((destructor(150))) static void late_other(void) { printf("dtor 150 of the other file\n"); }
