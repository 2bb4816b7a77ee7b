package jitlink

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// vectors uses instructions of every encoding that compilers emit for vectors and bits.
const vectors = `
#include <immintrin.h>
extern __m256 a, b; extern __m512 c, d; extern long x, y; extern double e, f; extern __m128i k, l; extern unsigned u;
void v256(void) { a = _mm256_fmadd_ps(a, b, _mm256_permute2f128_ps(a, b, 0x21)); a = _mm256_round_ps(a, 3); b = _mm256_shuffle_ps(a, b, 0x1b); }
void v512(void) { c = _mm512_add_ps(c, d); d = _mm512_mask_mul_ps(d, 0x55, c, d); c = _mm512_permutexvar_ps(_mm512_castps_si512(d), c); }
void bits(void) { x = _andn_u64(x, y); y = _bextr_u64(x, 3, 4) + _pdep_u64(x, y) + __builtin_rotateright64(y, 7); }
void aes(void) { k = _mm_aesenc_si128(k, l); l = _mm_clmulepi64_si128(k, l, 0x11); k = _mm_sha256rnds2_epu32(k, l, k); u = _mm_crc32_u32(u, 5); }
double x87(long double z) { return z * e + (float)f; }
void atomics(void) { __atomic_fetch_add(&x, 5, 5); __atomic_compare_exchange_n(&y, &x, 7, 0, 5, 5); x = __builtin_bswap64(y); }
int shifts(int s) { return (u << s) | (u >> 3) | (x > 3 ? 70000 : 9) | __builtin_popcountl(y) | (u * 1000) | (u * 3); }
void big(void) { x = 0x123456789abcdef0; asm volatile("movabsq %rax, 0x1122334455667788; enter $16, $1; leave; testb $3, u(%rip); testw $300, u(%rip); testl $70000, u(%rip); notl u(%rip); ud2; lock xaddl %eax, u(%rip); pushw $3; movw $5, u(%rip); movw $5, %ax; imulw $300, u(%rip), %cx"); }
`

var listing = regexp.MustCompile(`^\s*[0-9a-f]+: ((?:[0-9a-f]{2} ?)+) *\t(.*)$`)

// TestX86Lengths compares the lengths of all instructions of real code with those of the LLVM disassembler.
func TestX86Lengths(t *testing.T) {
	objdump, err := exec.LookPath("llvm-objdump-22")
	if err != nil {
		t.Skip("llvm-objdump-22 is not installed")
	}
	objects := map[string][]byte{
		"sqlite":     sqlite(t),
		"vectors":    assemble(t, vectors, ".c", "-O2", "-march=sapphirerapids", x86Target),
		"vectors O0": assemble(t, vectors, ".c", "-O0", "-march=sapphirerapids", x86Target),
		"exceptions": assemble(t, exceptions, ".cc", "-O3", "-mavx2"),
		"APX":        assemble(t, "addq %r16, x(%rip)\nmovq x(%rip), %r31\naddq $3, x(%rip), %r8\n{nf} shlq $5, x(%rip), %r9\nmovl $70000, (%r17)\nimulq $70000, x(%rip), %rax\nmovq %r16, (%r17,%r18,2)\nbswapq %r20\ncmovneq x(%rip), %r21\ncfcmovneq x(%rip), %rax, %rcx\nshldq $3, %rax, x(%rip), %r9\nctestneq {dfv=cf} $7, x(%rip)\njmpabs $0x1122334455667788", ".s", "-mapxf", x86Target),
	}
	for name, object := range objects {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.o")
			if err := os.WriteFile(file, object, 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(objdump, "-d", file).Output()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for line := range bytes.Lines(out) {
				m := listing.FindSubmatch(bytes.TrimRight(line, "\n"))
				if m == nil {
					continue
				}
				code, _ := hex.DecodeString(strings.ReplaceAll(string(m[1]), " ", ""))
				n++
				in, ok := decodeX86(append(bytes.Clone(code), make([]byte, 15)...))
				text := string(m[2])
				if text == "<unknown>" || text == "lock" || strings.HasPrefix(text, "jmpabs") {
					continue // lock is listed apart from the instruction it belongs to
				}
				if !ok || in.length != len(code) {
					t.Errorf("%x (%s): got %d, %v", code, text, in.length, ok)
				}
				if strings.Contains(text, "(%rip)") != in.ripBase {
					t.Errorf("%x (%s): rip-relative %v", code, text, in.ripBase)
				}
			}
			t.Logf("%d instructions", n)
			if n < 10 {
				t.Error("too few instructions")
			}
		})
	}
}
