package hostsym

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// File is one file that a library name stands for.
type File struct {
	Path     string
	Archive  bool // an ar archive; else a shared library or, through -l:file or a linker script, a relocatable object
	AsNeeded bool // a linker script names it for references that nothing else defines
}

// NotFoundError is a library that no directory has.
type NotFoundError struct {
	Name     string   // as given after -l
	Searched []string // directories, in order
	Skipped  []string // files of the right name that could not be used, with the reason
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("library -l%s is not found; searched %s", e.Name, strings.Join(e.Searched, ", "))
	if !strings.HasPrefix(e.Name, ":") {
		s += " and the loader's cache"
	}
	if len(e.Skipped) > 0 {
		s += "; skipped " + strings.Join(e.Skipped, ", ")
	}
	return s
}

// FindLibrary finds what -lname means to a linker and returns the shared library, or the archive if there is only that. Where a linker script stands
// for several files it is the first shared library of them: [Find] gives all. The error is a [*NotFoundError] or [*ScriptError].
func FindLibrary(name string, dirs []string) (path string, isArchive bool, err error) {
	files, err := Find(name, dirs)
	if err != nil {
		return "", false, err
	}
	for _, f := range files {
		if !f.Archive {
			return f.Path, false, nil
		}
	}
	return files[0].Path, true, nil
}

// Find finds all files that -lname means to a linker (ld(1)): in each of dirs, then of $LIBRARY_PATH, then of the system's directories, libNAME.so, then libNAME.a. A name ":FILE" is
// searched as it is. Linker scripts in place of libraries are followed (INPUT, GROUP, AS_NEEDED). Files for other machines are skipped. If
// there is no such file but the dynamic linker knows a libNAME.so.N (the package without its development files), that is it.
func Find(name string, dirs []string) ([]File, error) {
	return newFinder(name, dirs).locate(name)
}

type finder struct {
	name    string
	dirs    []string
	cache   string
	skipped []string
	depth   int // of linker scripts in linker scripts
}

func newFinder(name string, dirs []string) *finder {
	all := slices.Clone(dirs)
	all = append(all, filepath.SplitList(os.Getenv("LIBRARY_PATH"))...)
	all = append(all, systemDirs()...)
	return &finder{name: name, dirs: all, cache: "/etc/ld.so.cache"}
}

// systemDirs are the directories that gcc passes to ld, and ld's own, which exist.
func systemDirs() []string {
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	var dirs []string
	for _, d := range []string{"/usr/local/lib/" + triple, "/lib/" + triple, "/usr/lib/" + triple, "/usr/local/lib64", "/lib64", "/usr/lib64", "/usr/local/lib", "/lib", "/usr/lib"} {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			dirs = append(dirs, d)
		}
	}
	// gcc's own libraries (libatomic.so, libgomp.so) stand with the compiler; the newest one's.
	if found, _ := filepath.Glob("/usr/lib/gcc/*/*/libgcc.a"); len(found) > 0 {
		slices.SortFunc(found, compareVersions)
		dirs = append(dirs, filepath.Dir(found[len(found)-1]))
	}
	return dirs
}

func (f *finder) locate(name string) ([]File, error) {
	names := []string{"lib" + name + ".so", "lib" + name + ".a"}
	if file, exact := strings.CutPrefix(name, ":"); exact {
		names = []string{file}
	}
	for _, dir := range f.dirs {
		for _, n := range names {
			files, err := f.file(filepath.Join(dir, n))
			if err != nil || files != nil {
				return files, err
			}
		}
	}
	if len(names) == 2 {
		data, err := os.ReadFile(f.cache)
		if err == nil {
			if path := newestInCache(data, names[0]); path != "" {
				if files, err := f.file(path); err != nil || files != nil {
					return files, err
				}
			}
		}
	}
	return nil, &NotFoundError{Name: name, Searched: f.dirs, Skipped: f.skipped}
}

// file returns what path stands for, nil if it does not exist or cannot be used here.
func (f *finder) file(path string) ([]File, error) {
	data, err := head(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.skip(path, err.Error())
		}
		return nil, nil
	}
	switch {
	case bytes.HasPrefix(data, []byte("!<arch>\n")), bytes.HasPrefix(data, []byte("!<thin>\n")):
		return []File{{Path: path, Archive: true}}, nil
	case bytes.HasPrefix(data, []byte(elf.ELFMAG)):
		if reason := unusable(data); reason != "" {
			f.skip(path, reason)
			return nil, nil
		}
		return []File{{Path: path}}, nil
	}
	if f.depth >= 16 {
		return nil, &ScriptError{Path: path, Line: 1, Msg: "linker scripts name each other too deeply"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		f.skip(path, err.Error())
		return nil, nil
	}
	inputs, err := parseScript(path, text)
	if err != nil {
		return nil, err
	}
	f.depth++
	defer func() { f.depth-- }()
	return f.inputs(path, inputs)
}

func (f *finder) inputs(script string, inputs []scriptInput) ([]File, error) {
	var all []File
	for _, in := range inputs {
		var files []File
		var err error
		switch name, isLibrary := strings.CutPrefix(in.name, "-l"); {
		case isLibrary:
			files, err = f.locate(name)
		case filepath.IsAbs(in.name):
			files, err = f.file(in.name)
		default:
			files, err = f.file(filepath.Join(filepath.Dir(script), in.name))
			if files == nil && err == nil {
				files, err = f.locate(":" + in.name)
			}
		}
		var missing *NotFoundError
		if err != nil && !errors.As(err, &missing) {
			return nil, fmt.Errorf("linker script %s: %w", script, err)
		}
		if files == nil && !in.asNeeded {
			return nil, &ScriptError{Path: script, Line: in.line, Msg: "names " + in.name + ", which does not exist or is not for this machine"}
		}
		for _, file := range files {
			file.AsNeeded = file.AsNeeded || in.asNeeded
			all = append(all, file)
		}
	}
	if len(all) == 0 {
		return nil, &ScriptError{Path: script, Line: 1, Msg: "names no usable file"}
	}
	return all, nil
}

func (f *finder) skip(path, reason string) {
	f.skipped = append(f.skipped, fmt.Sprintf("%s (%s)", path, strings.TrimPrefix(reason, "open "+path+": ")))
}

// head reads as much of a file as tells what it is.
func head(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	data := make([]byte, 64)
	n, err := io.ReadFull(file, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return data[:n], nil
}

func unusable(header []byte) string {
	if len(header) < 20 {
		return "truncated"
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if machine := elf.Machine(uint16(header[18]) | uint16(header[19])<<8); elf.Class(header[4]) != elf.ELFCLASS64 || elf.Data(header[5]) != elf.ELFDATA2LSB || machine != want {
		return fmt.Sprintf("incompatible: %v, %v", elf.Class(header[4]), machine)
	}
	return ""
}
