package ehframe

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const source = `
extern "C" int puts(const char *);
struct Box { int v; ~Box() { puts("gone"); } };
static int find(int n) { Box b{n}; if (n > 3) throw n; return b.v; }
int run(int n) { try { return find(n); } catch (int e) { return e; } }
extern "C" int plain(int n) noexcept { return n + 1; }
extern "C" void handler(void) __attribute__((cold));
void handler(void) { puts("handler"); }
asm(".pushsection .text\nrestore:\n.cfi_startproc\n.cfi_signal_frame\nnop\n.cfi_endproc\n.popsection");
`

// object compiles source and returns the object's path.
func object(t testing.TB, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("%s is not installed", args[0])
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "x.cc"), filepath.Join(dir, "x.o")
	if err := os.WriteFile(in, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], append(args[1:], "-c", in, "-o", out)...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, msg)
	}
	return out
}

func ehFrame(t testing.TB, path string) []byte {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.Section(".eh_frame").Data()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var (
	dumpRecord = regexp.MustCompile(`^([0-9a-f]{8}) ([0-9a-f]{8,16}) ([0-9a-f]{8}) (?:CIE|FDE cie=([0-9a-f]{8}) pc=([0-9a-f]+)\.\.\.([0-9a-f]+))`)
	dumpLetter = regexp.MustCompile(`^\s+Augmentation:\s+"(.*)"`)
)

// dump returns what llvm-dwarfdump reads, a line for each record.
func dump(t testing.TB, path string) []string {
	t.Helper()
	const program = "llvm-dwarfdump-22"
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	out, err := exec.Command(program, "--eh-frame", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if m := dumpRecord.FindStringSubmatch(line); m != nil {
			var off, size, cie, lo, hi uint64
			fmt.Sscanf(m[1]+" "+m[2], "%x %x", &off, &size)
			if m[4] == "" {
				lines = append(lines, fmt.Sprintf("%#x+%#x CIE", off, size+4))
				continue
			}
			fmt.Sscanf(m[4]+" "+m[5]+" "+m[6], "%x %x %x", &cie, &lo, &hi)
			lines = append(lines, fmt.Sprintf("%#x+%#x FDE of %#x, %d bytes", off, size+4, cie, hi-lo))
		} else if m := dumpLetter.FindStringSubmatch(line); m != nil {
			lines[len(lines)-1] += " " + m[1]
		}
	}
	return lines
}

// TestCompilers compares what we and llvm-dwarfdump read in compilers' objects.
func TestCompilers(t *testing.T) {
	for _, args := range []string{
		"gcc -O0",
		"gcc -O2 -fPIC",
		"gcc -O2 -ffunction-sections -fno-pic -mcmodel=large",
		"clang-22 -O0 -fno-pic",
		"clang-22 -O2 -fPIC -ffunction-sections",
		"clang-22 -O2 -fPIC -mcmodel=large",
		"clang-22 -O2 --target=aarch64-linux-gnu -fPIC -mbranch-protection=pac-ret+b-key",
	} {
		t.Run(args, func(t *testing.T) {
			path := object(t, strings.Fields(args)...)
			data := ehFrame(t, path)
			records, err := Split(data)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range records {
				if r.CIE < 0 {
					got = append(got, fmt.Sprintf("%#x+%#x CIE %s", r.Offset, r.Size, r.Augmentation))
				} else {
					got = append(got, fmt.Sprintf("%#x+%#x FDE of %#x, %d bytes", r.Offset, r.Size, records[r.CIE].Offset, r.PCLength))
				}
			}
			if want := dump(t, path); len(got) < 5 || !reflect.DeepEqual(got, want) {
				t.Errorf("records are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestRelocatedFields: the fields found are those that the object relocates.
func TestRelocatedFields(t *testing.T) {
	for _, args := range []string{"gcc -O2 -fPIC", "clang-22 -O2 -fPIC", "clang-22 -O2 -fPIC -mcmodel=large"} {
		t.Run(args, func(t *testing.T) {
			path := object(t, strings.Fields(args)...)
			records, err := Split(ehFrame(t, path))
			if err != nil {
				t.Fatal(err)
			}
			fields := map[uint64]bool{}
			for _, r := range records {
				for _, field := range []uint64{r.PCBegin, r.LSDA, r.Personality} {
					if field != 0 {
						fields[field] = true
					}
				}
			}
			f, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			data, err := f.Section(".rela.eh_frame").Data()
			if err != nil {
				t.Fatal(err)
			}
			relocated := map[uint64]bool{}
			for r := bytes.NewReader(data); r.Len() > 0; {
				var at, rest [8]byte
				r.Read(at[:])
				r.Read(rest[:])
				r.Read(rest[:])
				relocated[f.ByteOrder.Uint64(at[:])] = true
			}
			if !reflect.DeepEqual(fields, relocated) {
				t.Errorf("fields are at %v, relocations at %v", fields, relocated)
			}
		})
	}
}

// BenchmarkSplit splits a section of 10,000 FDEs.
func BenchmarkSplit(b *testing.B) {
	var s section
	c := s.record(0, plain()...)
	for range 10_000 {
		s.fde(c, cat(uint32(0), uint32(100), 0, 0x41, 0x0e, 0x10, 0, 0, 0, 0)...)
	}
	b.SetBytes(int64(len(s.data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Split(s.data); err != nil {
			b.Fatal(err)
		}
	}
}
