package livejit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every block of code in README.md and docs/*.md is run here, by the language it is marked with:
//
//   - go with a package clause is a program: it is built and run, and its output is the comment "// Output:" at its end. Without one
//     it is part of a function that has the names of fragmentHead, and has to compile.
//   - console is a terminal: lines that begin with "$ " are run by a shell in a folder of the page's own, and what follows is what they print, on both outputs.
//     "$ cat FILE" makes the file if it is not there. Times are equal to other times, ports of this machine to other ports, and a line of "..." to any number of lines. A
//     prompt of livejit repl is typed at a real terminal, and the whole screen compared.
//   - text is no code: a drawing, or the forms of a command, which its help has to have.
//
// A block that is not to run has a comment in front of it that says why: <!-- not run: ... -->. Commands in other blocks are errors.

// block is one fenced or indented block of a page.
type block struct {
	page     string
	line     int // of its first line of content
	language string
	text     string
	notRun   string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var notRun = regexp.MustCompile(`^<!-- not run: (.+) -->$`)

// blocks finds the blocks of a page. An indented one has the language "indented".
func blocks(t *testing.T, page string) []block {
	t.Helper()
	var list []block
	var open *block
	reason, indented := "", false
	lines := strings.Split(readText(t, page), "\n")
	for n, line := range lines {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case open != nil && open.language != "indented" && isFence:
			list = append(list, *open)
			open = nil
		case open != nil && open.language != "indented":
			open.text += line + "\n"
		case isFence:
			open = &block{page: page, line: n + 2, language: fence, notRun: reason}
			reason = ""
		case strings.HasPrefix(line, "    ") && (indented || n > 0 && lines[n-1] == ""):
			if !indented {
				list = append(list, block{page: page, line: n + 1, language: "indented"})
			}
			indented = true
			list[len(list)-1].text += line[4:] + "\n"
			continue
		default:
			if m := notRun.FindStringSubmatch(line); m != nil {
				reason = m[1]
			} else if line != "" {
				reason = ""
			}
		}
		indented = false
	}
	if open != nil {
		t.Errorf("%s: a block does not end", open)
	}
	return list
}

func TestPagesRun(t *testing.T) {
	fragments := map[string]string{}
	ran := map[string]int{}
	for _, page := range pages(t) {
		dir := ""
		for _, b := range blocks(t, page) {
			if b.notRun != "" {
				continue
			}
			ran[b.language]++
			switch b.language {
			case "go":
				if strings.Contains(b.text, "package main") {
					runProgram(t, b)
				} else {
					fragments[b.String()] = b.text
				}
			case "console":
				if dir == "" {
					dir = t.TempDir()
				}
				runConsole(t, b, dir)
			case "text", "indented":
				checkForms(t, b)
			default:
				t.Errorf("%s: the language %q is not known here", b, b.language)
			}
		}
	}
	compileFragments(t, fragments)
	for _, language := range []string{"go", "console", "text"} {
		if ran[language] == 0 {
			t.Errorf("no block of %s", language)
		}
	}
}

// overlaid gives the go command files of the module that are not on the disk, by their path in it.
func overlaid(t *testing.T, files map[string]string) (flag string) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for path, text := range files {
		real := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(real, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, path)] = real
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return "-overlay=" + path
}

// runProgram builds a program as if it stood in the module, and compares what it prints.
func runProgram(t *testing.T, b block) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	flag := overlaid(t, map[string]string{"examples/page/main.go": b.text})
	if out, err := exec.Command("go", "build", flag, "-o", binary, "./examples/page").CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", b, err, out)
		return
	}
	out, err := exec.Command(binary).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", b, err, out)
	}
	_, want, ok := strings.Cut(b.text, "// Output:\n")
	want = strings.ReplaceAll(strings.ReplaceAll(want, "\n// ", "\n"), "\n//", "\n")
	if want = strings.TrimPrefix(want, "// "); !ok || string(out) != want {
		t.Errorf("%s prints\n%s\nwant\n%s", b, out, want)
	}
}

// fragmentHead is what the fragments of pages have around them.
const fragmentHead = `(ctx context.Context, eng *livejit.Engine, text, text2, text3 string) error {
	{`

// compileFragments has the compiler look at parts of programs.
func compileFragments(t *testing.T, fragments map[string]string) {
	t.Helper()
	imports := map[string]string{
		"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "expvar": "expvar", "livejit": "livejit", "clang": "livejit/clang",
		"inspect": "livejit/inspect", "stackmap": "livejit/stackmap", "unsafe": "unsafe", "os": "os", "time": "time",
	}
	files := map[string]string{}
	for place, text := range fragments {
		head := "package page\n\nimport (\n"
		for _, name := range sortedNames(imports) {
			if name == "context" || name == "livejit" || regexp.MustCompile(`\b`+name+`\.`).MatchString(text) {
				head += fmt.Sprintf("\t%q\n", imports[name])
			}
		}
		tail := "\n\t}\n"
		if !strings.Contains(text[strings.LastIndexByte(strings.TrimRight(text, "\n"), '\n')+1:], "return ") {
			tail += "\treturn nil\n"
		}
		name := strings.NewReplacer("/", "_", ".", "_", ":", "_").Replace(place)
		files["examples/page/"+strings.ToLower(name)+".go"] = head + ")\n\nfunc " + name + fragmentHead + "\n//line " + place + "\n" + text + tail + "}\n"
	}
	if out, err := exec.Command("go", "build", overlaid(t, files), "./examples/page").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func sortedNames(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// runConsole does the commands of a terminal, one after the other, in a folder.
func runConsole(t *testing.T, b block, dir string) {
	t.Helper()
	for _, part := range strings.Split("\n"+strings.TrimRight(b.text, "\n"), "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		if path, ok := strings.CutPrefix(command, "cat "); ok {
			if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
				if err := os.WriteFile(filepath.Join(dir, path), []byte(want+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
		}
		var got string
		if strings.HasPrefix(command, "livejit repl") && strings.Contains(want, "> ") {
			got = typedAt(t, dir, command, want)
		} else {
			c := exec.Command("sh", "-c", command)
			c.Dir, c.Env = dir, commandEnv(t)
			out, err := c.CombinedOutput()
			if _, exited := err.(*exec.ExitError); err != nil && !exited {
				t.Fatal(err)
			}
			got = string(out)
		}
		if !alike(strings.TrimRight(got, "\n"), want) {
			t.Errorf("%s: %s\nprints\n%s\nthe page says\n%s", b, command, got, want)
		}
	}
}

// commandEnv is the environment of commands: livejit is that of this tree.
func commandEnv(t *testing.T) []string {
	t.Helper()
	return append(os.Environ(), "PATH="+filepath.Dir(buildCommand(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// varies is what differs each time: times, and ports that were free.
var varies = regexp.MustCompile(`\d+(\.\d+)? (ns|µs|ms|s)\b|127\.0\.0\.1:\d+`)

// alike compares what is printed with what a page says.
func alike(got, want string) bool {
	want = regexp.QuoteMeta(varies.ReplaceAllString(want, "VARIES"))
	want = strings.ReplaceAll("\n"+want+"\n", "\n\\.\\.\\.\n", "\n(.*\n)*")
	return regexp.MustCompile("^" + want + "$").MatchString("\n" + varies.ReplaceAllString(got, "VARIES") + "\n")
}

var flagOfForm = regexp.MustCompile(`(^|[ \[|])(--?[a-zA-Z][a-zA-Z-]*)`)

// checkForms has the help of the command say each flag that a page tells of. Other commands are errors.
func checkForms(t *testing.T, b block) {
	t.Helper()
	for line := range strings.Lines(b.text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch first := fields[0]; {
		case first == "livejit" && len(fields) > 1 && b.language == "text":
			out, err := exec.Command(buildCommand(t), "help", fields[1]).CombinedOutput()
			if err != nil {
				t.Errorf("%s: livejit help %s: %v\n%s", b, fields[1], err, out)
			}
			for _, m := range flagOfForm.FindAllStringSubmatch(line, -1) {
				if !strings.Contains(string(out), m[2]) {
					t.Errorf("%s: livejit help %s does not say %s", b, fields[1], m[2])
				}
			}
		case slices.Contains([]string{"livejit", "make", "go", "$", "gdb", "sudo"}, first):
			t.Errorf("%s: %q is a command, which belongs into a block of console", b, strings.TrimSpace(line))
		}
	}
}
