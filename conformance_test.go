package livejit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"livejit/internal/csources"
)

// program is a line of testdata/programs/programs.json; its README explains the fields.
type program struct {
	Name     string            `json:"name"`
	Files    []string          `json:"files"`
	Cflags   []string          `json:"cflags"`
	Objflags []string          `json:"objflags"` // more flags for gcc's objects
	Archives []string          `json:"archives"`
	Libs     []string          `json:"libs"`
	Args     []string          `json:"args"`
	Stdin    string            `json:"stdin"`
	Env      map[string]string `json:"env"`
	Exit     int               `json:"exit"`
}

// outcome is what a run of a program shows.
type outcome struct {
	stdout, stderr string
	status         int
}

const programsDir = "testdata/programs"

// TestConformance runs each program ahead of time and through livejit run: from source at
// -O0 and -O2, at -O0 also with each function compiled at its first call, and from objects
// that gcc compiled. Output and exit status must be equal to the byte.
func TestConformance(t *testing.T) {
	table := readPrograms(t)
	livejit := buildCommand(t)
	for _, p := range table {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			native := filepath.Join(dir, "native")
			p.compile(t, p.compiler("clang"), append([]string{"-O0", "-o", native}, p.link()...))
			want := p.run(t, native, nil)
			if want.status != p.Exit {
				t.Fatalf("ahead of time: exit status %d, want %d\n%s", want.status, p.Exit, want.stderr)
			}
			for _, way := range [][]string{{"-O0"}, {"-O2"}, {"-O0", "--lazy"}} {
				t.Run("source"+strings.Join(way, ""), func(t *testing.T) {
					args := slices.Concat([]string{"run"}, way, []string{"--cflags", quoteWords(slices.Concat(p.Cflags, []string{"-w"}))}, p.link())
					compare(t, want, p.run(t, livejit, append(append(args, p.Files...), "--")))
				})
			}
			t.Run("gcc-objects", func(t *testing.T) {
				objects := p.objects(t, dir)
				args := append([]string{"run"}, p.link()...)
				compare(t, want, p.run(t, livejit, append(append(args, objects...), "--")))
			})
		})
	}
}

func readPrograms(t *testing.T) []program {
	text, err := os.ReadFile(filepath.Join(programsDir, "programs.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Modules  map[string]string `json:"modules"`
		Programs []program         `json:"programs"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	replace := strings.NewReplacer(moduleDirs(t, file.Modules)...)
	for i := range file.Programs {
		p := &file.Programs[i]
		var files []string
		for _, pattern := range p.Files {
			matches, err := filepath.Glob(filepath.Join(programsDir, pattern))
			if strings.HasPrefix(pattern, "$") {
				matches, err = filepath.Glob(replace.Replace(pattern))
			}
			if err != nil || len(matches) == 0 {
				t.Fatalf("%s: no file matches %s (%v)", p.Name, pattern, err)
			}
			files = append(files, matches...)
		}
		p.Files = absolute(t, files)
		for k, f := range p.Cflags {
			p.Cflags[k] = replace.Replace(f)
		}
	}
	return file.Programs
}

// moduleDirs returns pairs of ${name} and the folder of the module.
func moduleDirs(t *testing.T, modules map[string]string) []string {
	var pairs []string
	for name, module := range modules {
		dir, err := csources.Dir(module)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, "${"+name+"}", dir)
	}
	return pairs
}

func absolute(t *testing.T, files []string) []string {
	for i, f := range files {
		a, err := filepath.Abs(f)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = a
	}
	return files
}

func (p *program) cpp() bool { return filepath.Ext(p.Files[0]) == ".cpp" }

// compiler returns the driver for the program's language.
func (p *program) compiler(name string) string {
	switch {
	case name == "clang" && p.cpp():
		return "clang++-22"
	case name == "clang":
		return "clang-22"
	case p.cpp():
		return "g++"
	}
	return "gcc"
}

// link returns the linker's options for libraries and archives; livejit run takes the same.
func (p *program) link() []string {
	var options []string
	for _, a := range p.Archives {
		options = append(options, "-l:"+a)
	}
	for _, l := range p.Libs {
		options = append(options, "-l"+l)
	}
	return options
}

// compile runs a compiler over all files; libraries stand after them.
func (p *program) compile(t *testing.T, compiler string, options []string) {
	t.Helper()
	args := append(slices.Clone(p.Cflags), "-pthread", "-w")
	args = append(append(args, p.Files...), options...)
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", compiler, strings.Join(args, " "), err, out)
	}
}

// objects compiles every file with gcc -O2 and returns the objects.
func (p *program) objects(t *testing.T, dir string) []string {
	t.Helper()
	var objects []string
	for i, f := range p.Files {
		o := filepath.Join(dir, fmt.Sprintf("%d.o", i))
		args := append(slices.Concat(p.Cflags, p.Objflags), "-O2", "-w", "-c", f, "-o", o)
		if out, err := exec.Command(p.compiler("gcc"), args...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		objects = append(objects, o)
	}
	return objects
}

// run starts a command with the program's arguments after prefix, in the programs' folder.
func (p *program) run(t *testing.T, command string, prefix []string) outcome {
	t.Helper()
	cmd := exec.Command(command, append(slices.Clone(prefix), p.Args...)...)
	cmd.Dir = programsDir
	cmd.Stdin = strings.NewReader(p.Stdin)
	cmd.Env = os.Environ()
	for name, value := range p.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func compare(t *testing.T, want, got outcome) {
	t.Helper()
	if got.status != want.status {
		t.Errorf("exit status %d, ahead of time %d\nstderr: %s", got.status, want.status, tail(got.stderr))
	}
	if got.stdout != want.stdout {
		t.Errorf("standard output differs %s", firstDifference(want.stdout, got.stdout))
	}
	if got.stderr != want.stderr {
		t.Errorf("standard error differs %s", firstDifference(want.stderr, got.stderr))
	}
}

func tail(s string) string {
	if len(s) > 2000 {
		return "..." + s[len(s)-2000:]
	}
	return s
}

// firstDifference shows the first line at which two texts differ.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := 0; i < len(w) || i < len(g); i++ {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("in line %d:\nahead of time: %.300s\nlivejit:       %.300s", i+1, a, b)
		}
	}
	return "nowhere"
}

// quoteWords writes flags so that --cflags reads them as they are.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + w + "'"
	}
	return strings.Join(quoted, " ")
}

var command struct {
	once sync.Once
	path string
	err  error
}

// buildCommand builds cmd/livejit once for all tests and returns its path.
func buildCommand(t *testing.T) string {
	t.Helper()
	command.once.Do(func() {
		command.path = filepath.Join(testDir, "livejit")
		if out, err := exec.Command("go", "build", "-o", command.path, "./cmd/livejit").CombinedOutput(); err != nil {
			command.err = fmt.Errorf("go build ./cmd/livejit: %w\n%s", err, out)
		}
	})
	if command.err != nil {
		t.Fatal(command.err)
	}
	return command.path
}
