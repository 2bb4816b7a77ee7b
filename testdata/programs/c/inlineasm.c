/* Inline assembly (operands, clobbers, local labels, asm goto) and a function written in assembly at file level. */
#include <stdint.h>
#include <stdio.h>

static uint64_t multiply_high(uint64_t a, uint64_t b) {
    uint64_t low, high;
    __asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "r"(b) : "cc");
    return high;
}

static int count_bits(uint32_t v) {
    int n;
    __asm__("xorl %0, %0\n1:\ttestl %1, %1\n\tje 2f\n\tleal -1(%q1), %%ecx\n\tandl %%ecx, %1\n\tincl %0\n\tjmp 1b\n2:" : "=&r"(n), "+r"(v) : : "ecx", "cc");
    return n;
}

static int is_odd(int n) {
    __asm__ goto("testl $1, %0\n\tjne %l1" : : "r"(n) : "cc" : odd);
    return 0;
odd:
    return 1;
}

static int in_memory = 5;
static void add_to_memory(int n) { __asm__ volatile("addl %1, %0" : "+m"(in_memory) : "r"(n) : "cc"); }

static int callee(int n) { return n * 3 + in_memory; }
static int call_from_assembly(int (*f)(int), int n) {
    int r;
    /* the red zone is stepped over, and the stack aligned, before the call */
    __asm__ volatile("movq %%rsp, %%rbx\n\tsubq $128, %%rsp\n\tandq $-16, %%rsp\n\tcall *%1\n\tmovq %%rbx, %%rsp"
                     : "=a"(r), "+r"(f), "+D"(n) : : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc", "memory",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return r;
}

int written_in_assembly(int a, int b);
extern const int assembly_data[3];
__asm__(".pushsection .text.written_in_assembly,\"ax\",@progbits\n"
        ".globl written_in_assembly\n"
        ".type written_in_assembly,@function\n"
        "written_in_assembly:\n"
        "\t.cfi_startproc\n"
        "\tleal (%rdi,%rsi,4), %eax\n"
        "\taddl assembly_data+4(%rip), %eax\n"
        "\tret\n"
        "\t.cfi_endproc\n"
        ".size written_in_assembly, .-written_in_assembly\n"
        ".popsection\n"
        ".pushsection .rodata.assembly_data,\"a\",@progbits\n"
        ".globl assembly_data\n"
        ".type assembly_data,@object\n"
        ".balign 4\n"
        "assembly_data: .long 100, 200, 300\n"
        ".size assembly_data, 12\n"
        ".popsection\n");

int main(void) {
    printf("high %llx\n", (unsigned long long)multiply_high(0x123456789abcdef0u, 0xfedcba9876543210u));
    printf("bits %d %d %d\n", count_bits(0), count_bits(0xff00ff01u), count_bits(~0u));
    printf("odd %d %d\n", is_odd(3), is_odd(8));
    add_to_memory(37);
    printf("memory %d\n", in_memory);
    printf("call %d\n", call_from_assembly(callee, 11));
    printf("assembly %d %d\n", written_in_assembly(1, 2), assembly_data[2]);
    return 0;
}
