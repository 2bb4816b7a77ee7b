package elfobj

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A testMember is a member of a hand-made archive; field is its 16-byte name.
type testMember struct{ field, data string }

func archiveBytes(members ...testMember) []byte {
	b := []byte(archiveMagic)
	for _, m := range members {
		b = fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8o%-10d%s%s", m.field, 0, 0, 0, 0o644, len(m.data), memberEnd, m.data)
		if len(b)%2 != 0 {
			b = append(b, '\n')
		}
	}
	return b
}

// bigEndian returns words as in GNU's symbol tables.
func bigEndian(w ...uint32) string {
	var b []byte
	for _, v := range w {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return string(b)
}

func TestHandMadeArchives(t *testing.T) {
	object := string(smallObject().bytes())
	longNames := testMember{"//", "a very long name.o/\nother\n"}
	tests := []struct {
		name    string
		data    []byte
		members []string // name=size
		index   map[string]int
	}{
		{"empty", archiveBytes(), nil, map[string]int{}},
		{"GNU names", archiveBytes(longNames, testMember{"a.o/", "1"}, testMember{"/0", "22"}, testMember{"/20", "333"}, testMember{"with space/", ""}),
			[]string{"a.o=1", "a very long name.o=2", "other=3", "with space=0"}, map[string]int{}},
		{"BSD names", archiveBytes(testMember{"#1/8", "long.o\x00\x00data"}, testMember{"short.o", "x"}),
			[]string{"long.o=4", "short.o=1"}, map[string]int{}},
		{"no table", archiveBytes(testMember{"a.o/", "BC\xc0\xde"}, testMember{"b.o/", object}, testMember{"c.o/", object}),
			[]string{"a.o=4", fmt.Sprintf("b.o=%d", len(object)), fmt.Sprintf("c.o=%d", len(object))},
			map[string]int{"main": 1, "count": 1, "limit": 1}},
		{"GNU table", archiveBytes(testMember{"/", bigEndian(3, 90, 152, 90) + "f\x00f\x00g\x00"}, testMember{"a.o/", "1"}, testMember{"b.o/", "2"}),
			[]string{"a.o=1", "b.o=1"}, map[string]int{"f": 0, "g": 0}},
		{"wide GNU table", archiveBytes(testMember{"/SYM64/", bigEndian(0, 1, 0, 86) + "f\x00"}, testMember{"a.o/", "1"}),
			[]string{"a.o=1"}, map[string]int{"f": 0}},
		{"BSD table", archiveBytes(testMember{"__.SYMDEF", string(words(16, 2, 96, 0, 96, 4)) + "g\x00f\x00"}, testMember{"a.o", "1"}),
			[]string{"a.o=1"}, map[string]int{"f": 0, "g": 0}},
		{"wide BSD table", archiveBytes(testMember{"#1/20", "__.SYMDEF_64 SORTED\x00" + string(words(16, 0, 0, 0, 122, 0, 2, 0)) + "f\x00"}, testMember{"a.o", "1"}),
			[]string{"a.o=1"}, map[string]int{"f": 0}},
		{"last member not padded", bytes.TrimSuffix(archiveBytes(testMember{"a.o/", "1"}), []byte("\n")),
			[]string{"a.o=1"}, map[string]int{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, err := ReadArchive("x.a", test.data)
			if err != nil {
				t.Fatal(err)
			}
			var members []string
			for _, m := range a.Members {
				members = append(members, fmt.Sprintf("%s=%d", m.Name, len(m.Data)))
			}
			if !reflect.DeepEqual(members, test.members) {
				t.Errorf("members are %q, want %q", members, test.members)
			}
			if !reflect.DeepEqual(a.Index, test.index) {
				t.Errorf("index is %v, want %v", a.Index, test.index)
			}
		})
	}
}

func TestArchiveErrors(t *testing.T) {
	member := testMember{"a.o/", "1"}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "x.a: is not an ar archive"},
		{"object", smallObject().bytes(), "x.a: is not an ar archive"},
		{"thin", []byte("!<thin>\n"), "x.a: is a thin archive, which holds only the paths of its members"},
		{"truncated header", archiveBytes(member)[:30], "x.a: member 0 at offset 0x8: header is truncated"},
		{"truncated member", archiveBytes(testMember{"a.o/", "123456"})[:70], "6 bytes go beyond the end of the file (70 bytes)"},
		{"end of header", bytes.Replace(archiveBytes(member), []byte("`"), []byte("'"), 1), "at offset 0x42: header does not end with"},
		{"size", bytes.Replace(archiveBytes(member), []byte("1         `"), []byte("-1        `"), 1), `bad size "-1"`},
		{"huge size", bytes.Replace(archiveBytes(member), []byte("1         `"), []byte("9999999999`"), 1), "9999999999 bytes go beyond"},
		{"no size", bytes.Replace(archiveBytes(member), []byte("1         `"), []byte("          `"), 1), `bad size ""`},
		{"name without a table", archiveBytes(testMember{"/3", "1"}), "name at 3 is outside of the name table (0 bytes)"},
		{"name outside", archiveBytes(testMember{"//", "abc/\n"}, testMember{"/5", "1"}), "name at 5 is outside of the name table (5 bytes)"},
		{"name open", archiveBytes(testMember{"//", "abc/"}, testMember{"/1", "1"}), "name at 1 of the name table is not terminated"},
		{"name number", archiveBytes(testMember{"/x", "1"}), `bad name "/x"`},
		{"BSD name", archiveBytes(testMember{"#1/5", "1234"}), `bad name length "5" for a member of 4 bytes`},
		{"BSD name number", archiveBytes(testMember{"#1/a", "1234"}), `bad name length "a"`},
		{"two name tables", archiveBytes(testMember{"//", ""}, testMember{"//", ""}), "name table at offset 0x44: second one"},
		{"two symbol tables", archiveBytes(testMember{"/", bigEndian(0)}, testMember{"/", bigEndian(0)}), "symbol table at offset 0x48: second one"},
		{"short symbol table", archiveBytes(testMember{"/", "abc"}), "symbol table at offset 0x44: truncated"},
		{"symbol count", archiveBytes(testMember{"/", bigEndian(2, 0)}), "2 symbols do not fit its 8 bytes"},
		{"huge symbol count", archiveBytes(testMember{"/SYM64/", bigEndian(1<<31, 0, 0, 0)}), "9223372036854775808 symbols do not fit its 16 bytes"},
		{"symbol names", archiveBytes(testMember{"/", bigEndian(2, 0x54, 0x54) + "f\x00g\x01"}, member), "names end after 1 of 2 symbols"},
		{"symbol's member", archiveBytes(testMember{"/", bigEndian(1, 8) + "f\x00"}, member), `symbol "f" is said to be at 0x8, where no member starts`},
		{"short BSD table", archiveBytes(testMember{"__.SYMDEF", "abcdefg"}), "truncated"},
		{"BSD symbols", archiveBytes(testMember{"__.SYMDEF", string(words(8, 0))}), "8 bytes of symbols do not fit its 8 bytes"},
		{"part of a BSD symbol", archiveBytes(testMember{"__.SYMDEF", string(words(4, 0, 0))}), "4 bytes of symbols do not fit"},
		{"BSD symbol name", archiveBytes(testMember{"__.SYMDEF", string(words(8, 9, 8, 2)) + "f\x00"}), "name at 9 is outside of its 2 bytes of names"},
		{"BSD symbol name open", archiveBytes(testMember{"__.SYMDEF", string(words(8, 1, 8, 2)) + "fg"}), "name at 1 is not terminated"},
		{"BSD symbol's member", archiveBytes(testMember{"__.SYMDEF", string(words(8, 0, 8, 2)) + "f\x00"}), "where no member starts"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadArchive("x.a", test.data)
			wantFormatError(t, err, "x.a", test.want)
		})
	}
	t.Run("damaged object", func(t *testing.T) {
		object := smallObject().bytes()
		object[4] = 1
		_, err := ReadArchive("x.a", archiveBytes(testMember{"a.o/", string(object)}))
		wantFormatError(t, err, "x.a(a.o)", "is for 32-bit processors")
	})
}

// TestArchivers reads what ar and llvm-ar write.
func TestArchivers(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"one.c":                          "int f(void) { return 1; } int only_one;",
		"two_with_a_name_that_is_long.c": "int f(void) { return 2; } __attribute__((weak)) int g(void) { return 2; }",
		"bit.c":                          "int h(void) { return 3; }",
	}
	for name, source := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
		object := strings.TrimSuffix(name, ".c") + ".o"
		if name == "bit.c" {
			run(t, dir, "clang-22", "-emit-llvm", "-c", name, "-o", object)
		} else {
			run(t, dir, "gcc", "-c", name, "-o", object)
		}
	}
	members := []string{"one.o", "two_with_a_name_that_is_long.o", "bit.o"}
	native := map[string]int{"f": 0, "only_one": 0, "g": 1}
	all := map[string]int{"f": 0, "only_one": 0, "g": 1, "h": 2}
	tests := []struct {
		args  string
		env   string
		want  string // error
		index map[string]int
	}{
		{args: "ar rcs", index: native},
		{args: "ar rcS", index: native},
		{args: "ar rcsT", want: "is a thin archive"},
		{args: "llvm-ar-22 rcs", index: all},
		{args: "llvm-ar-22 rcS", index: native},
		{args: "llvm-ar-22 rcs", env: "SYM64_THRESHOLD=0", index: all},
		{args: "llvm-ar-22 --format=bsd -rcs", index: all},
		{args: "llvm-ar-22 --format=darwin -rcs", index: all},
		{args: "llvm-ar-22 --format=darwin -rcs", env: "SYM64_THRESHOLD=0", index: all},
		{args: "llvm-ar-22 --thin -rcs", want: "is a thin archive"},
	}
	for i, test := range tests {
		t.Run(strings.TrimSpace(test.args+" "+test.env), func(t *testing.T) {
			if test.env != "" {
				name, value, _ := strings.Cut(test.env, "=")
				t.Setenv(name, value)
			}
			out := fmt.Sprintf("%d.a", i)
			args := append(strings.Fields(test.args), out)
			run(t, dir, append(args, members...)...)
			a, err := ReadArchive("x.a", readFile(t, filepath.Join(dir, out)))
			if test.want != "" {
				wantFormatError(t, err, "x.a", test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Members) != len(members) {
				t.Fatalf("%d members, want %d", len(a.Members), len(members))
			}
			for i, name := range members {
				want := readFile(t, filepath.Join(dir, name))
				// The Darwin format pads members to 8 bytes.
				if got := a.Members[i]; got.Name != name || !bytes.HasPrefix(got.Data, want) || len(got.Data) > len(want)+7 {
					t.Errorf("member %d is %q with %d bytes, want %q with %d", i, got.Name, len(got.Data), name, len(want))
				}
			}
			if strings.HasPrefix(test.args, "ar ") {
				delete(a.Index, "h") // GNU ar looks into bitcode only if it has LLVM's plugin
			}
			if !reflect.DeepEqual(a.Index, test.index) {
				t.Errorf("index is %v, want %v", a.Index, test.index)
			}
		})
	}
}
