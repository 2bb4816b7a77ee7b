// Command plugins is a host in Go for plugins in C and C++: each file of a folder is one, and defines
// a function of its own name that changes a text in place. The host loads them, calls them,
// takes new versions while it runs, and unloads them. A plugin that crashes is an error of its
// call.
//
//	go run ./examples/plugins examples/plugins/plugins "some text"
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"livejit"
	"livejit/clang"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plugins FOLDER TEXT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "plugins: %+v\n", err)
		os.Exit(1)
	}
}

func run(folder, text string) (err error) {
	ctx := context.Background()
	host, err := newHost()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.close()) }()
	files, err := filepath.Glob(filepath.Join(folder, "*.c*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := host.load(ctx, f); err != nil {
			return err
		}
	}
	for _, name := range host.names() {
		result, err := host.call(name, text)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", name, result)
	}
	return nil
}

// host holds plugins. Its methods are for one goroutine at a time.
type host struct {
	engine  *livejit.Engine
	plugins map[string]*plugin
}

type plugin struct {
	module *livejit.Module
	change func(text []byte) error
}

func newHost() (*host, error) {
	engine, err := livejit.New(livejit.WithOptLevel(2))
	if err != nil {
		return nil, err
	}
	// What plugins may use of the host.
	if err := engine.Define("host_version", func() int32 { return 1 }); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return &host{engine, map[string]*plugin{}}, nil
}

func (h *host) close() error { return h.engine.Close() }

// load makes a file a plugin, or the new version of the plugin of that name. A file that does not
// compile, or whose function has another type, changes nothing.
func (h *host) load(ctx context.Context, path string) error {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	source := clang.File(path, clang.Options{OptLevel: 2})
	if p := h.plugins[name]; p != nil {
		_, err := h.engine.Update(ctx, func(u *livejit.Update) error {
			u.ReplaceModule(p.module, source)
			return nil
		})
		return err
	}
	module, err := h.engine.Add(ctx, source)
	if err != nil {
		return err
	}
	f := module.Function(name)
	if f == nil {
		return errors.Join(fmt.Errorf("%s does not define a function %s", path, name), module.Close())
	}
	var native func(text *byte) error
	if err := f.Bind(&native); err != nil {
		return errors.Join(err, module.Close())
	}
	h.plugins[name] = &plugin{module, func(text []byte) error { return native(&text[0]) }}
	return nil
}

// unload frees a plugin with all that it holds.
func (h *host) unload(name string) error {
	p := h.plugins[name]
	if p == nil {
		return fmt.Errorf("there is no plugin %s", name)
	}
	delete(h.plugins, name)
	return p.module.Close()
}

func (h *host) names() []string {
	var names []string
	for n := range h.plugins {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// call has a plugin change a text.
func (h *host) call(name, text string) (string, error) {
	p := h.plugins[name]
	if p == nil {
		return "", fmt.Errorf("there is no plugin %s", name)
	}
	buffer := append([]byte(text), 0)
	if err := p.change(buffer); err != nil {
		return "", err
	}
	result, _, _ := strings.Cut(string(buffer), "\x00")
	return result, nil
}
