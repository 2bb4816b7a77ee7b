package livejit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pages a reader starts from name things of the tree; these tests fail when the tree moves on without them.

func TestReadmeNamesItsCommands(t *testing.T) {
	readme, makefile := readText(t, "README.md"), readText(t, "Makefile")
	for _, command := range []string{"make demo", "make test"} {
		if !strings.Contains(readme, command) {
			t.Errorf("README.md does not name `%s`", command)
		}
	}
	for _, m := range regexp.MustCompile("`make ([a-z]+)").FindAllStringSubmatch(readme, -1) {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
			t.Errorf("README.md names `make %s`, which the Makefile does not have", m[1])
		}
	}
}

// TestReadmeNamesItsTests: what is said of livejit is shown by tests that are there.
func TestReadmeNamesItsTests(t *testing.T) {
	sources := strings.Join(sourceText(t), "\n")
	rows := regexp.MustCompile(`(?m)^\| R(\d+) .*\| ([^|]*) \|$`).FindAllStringSubmatch(readText(t, "README.md"), -1)
	if len(rows) != 13 {
		t.Errorf("README.md has %d requirements", len(rows))
	}
	for _, row := range rows {
		tests := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(row[2], -1)
		if len(tests) == 0 {
			t.Errorf("README.md names no test for R%s", row[1])
		}
		for _, m := range tests {
			if !strings.Contains(sources, "func "+m[1]+"(t *testing.T)") {
				t.Errorf("README.md names %s, which is not there", m[1])
			}
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(readText(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	text := readText(t, "docs/architecture.md")
	for _, p := range modulePackages(t) {
		name := p.room()
		if name == "" {
			name = "livejit"
		}
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/architecture.md does not name `%s` (%s)", name, p.ImportPath)
		}
	}
}

func TestRationaleNamesEveryDependency(t *testing.T) {
	text := readText(t, "docs/rationale.md")
	for module := range outside {
		if !strings.Contains(text, "`"+module+"`") {
			t.Errorf("docs/rationale.md gives no reason for the dependency %s", module)
		}
	}
}

// TestGlossaryWordsExist: a word in code style is a declaration (`pkg.Name`, `pkg.Type.Member`), a path of the tree, or text
// that occurs in a source file.
func TestGlossaryWordsExist(t *testing.T) {
	const glossary = "docs/glossary.md"
	packages := map[string]map[string]bool{}
	for _, p := range modulePackages(t) {
		packages[p.Name] = declarations(t, p.Dir)
	}
	sources := sourceText(t)
	qualified := regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z]\w*(?:\.\w+)?)$`)
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(readText(t, glossary), -1) {
		word := m[1]
		if q := qualified.FindStringSubmatch(word); q != nil {
			if declared, known := packages[q[1]]; !known {
				t.Errorf("%s: `%s`: there is no package %s", glossary, word, q[1])
			} else if !declared[q[2]] {
				t.Errorf("%s: `%s`: package %s does not declare %s", glossary, word, q[1], q[2])
			}
			continue
		}
		if _, err := os.Stat(word); err == nil {
			continue
		}
		if !slices.ContainsFunc(sources, func(text string) bool { return strings.Contains(text, word) }) {
			t.Errorf("%s: `%s` is in no source file", glossary, word)
		}
	}
}

// declarations are the names a package declares: Name, and Type.Member for methods and fields.
func declarations(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			declare(names, decl)
		}
	}
	return names
}

func declare(names map[string]bool, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiver(d.Recv.List[0].Type) + "." + name
		}
		names[name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, ident := range s.Names {
					names[ident.Name] = true
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = true
				for _, member := range members(s.Type) {
					names[s.Name.Name+"."+member] = true
				}
			}
		}
	}
}

func receiver(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func members(expr ast.Expr) []string {
	var list *ast.FieldList
	switch e := expr.(type) {
	case *ast.StructType:
		list = e.Fields
	case *ast.InterfaceType:
		list = e.Methods
	default:
		return nil
	}
	var names []string
	for _, field := range list.List {
		for _, ident := range field.Names {
			names = append(names, ident.Name)
		}
	}
	return names
}

// sourceText is the text of every source file of the module.
func sourceText(t *testing.T) []string {
	t.Helper()
	extensions := []string{".go", ".c", ".cpp", ".h", ".S", ".s"}
	var texts []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git"):
			return fs.SkipDir
		case slices.Contains(extensions, filepath.Ext(path)):
			texts = append(texts, readText(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, "README.md")
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
