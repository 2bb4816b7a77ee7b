package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"livejit"
	"livejit/clang"
	"livejit/internal/watch"
)

// runWatched is livejit run --watch: the program runs as without, while its files are
// followed. A restart is the command started again in this process's place, since main
// cannot be stopped from outside.
func runWatched(ctx context.Context, o *runOptions, eng *livejit.Engine) (int, error) {
	keys := watch.OpenKeys(os.Stdin)
	restart := func() {
		keys.Restore()
		fmt.Fprintln(os.Stderr, "restarting")
		if err := again(); err != nil {
			fmt.Fprintf(os.Stderr, "livejit: error: restart: %v\n", err)
		}
	}
	config := watch.Config{
		Engine: eng, Files: o.files, Entry: o.entry, Build: o.build, Out: os.Stderr,
		Clang: clang.Options{OptLevel: o.optLevel, Flags: append([]string{"-g"}, o.cflags...)},
	}
	applied := make(chan struct{}, 1)
	config.Applied = func() {
		select {
		case applied <- struct{}{}:
		default:
		}
	}
	if o.restartOnRefusal {
		config.Refused = restart
	}
	w, err := watch.New(config)
	if err != nil {
		keys.Restore()
		return 1, errors.Join(err, eng.Close())
	}
	if err := livejit.OnExit(func() {
		keys.Restore()
		if o.stats {
			printStats(eng)
		}
	}); err != nil {
		return 1, err
	}
	if keys != nil {
		go restoreOnSignal(keys)
		go followKeys(keys, restart)
		fmt.Fprintf(os.Stderr, "watching %s: r restarts, q quits\n", strings.Join(o.files, ", "))
	}
	if err := w.Load(ctx); err != nil {
		return 1, err
	}
	go w.Run(ctx)
	for {
		status, err := eng.Main(ctx, o.entry)
		if err == nil {
			livejit.Exit(status)
		}
		if failureStatus(err) == 1 { // it could not be called
			keys.Restore()
			return 1, err
		}
		// The program has failed; its data is as it has left it. An edit may mend it.
		printError(os.Stderr, err)
		fmt.Fprintf(os.Stderr, "%s has ended; an edit that is applied calls it again\n", o.entry)
		select {
		case <-applied: // before it failed
		default:
		}
		<-applied
	}
}

// followKeys obeys the keys until the terminal ends.
func followKeys(keys *watch.Keys, restart func()) {
	for {
		key, ok := keys.Read()
		switch {
		case !ok:
			return
		case key == 'r':
			restart()
		case key == 'q':
			livejit.Exit(0)
		}
	}
}

// restoreOnSignal leaves the terminal as it was when a signal ends the process, which then
// has the status that a shell gives to it.
func restoreOnSignal(keys *watch.Keys) {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	s := <-ending
	keys.Restore()
	signal.Reset(s)
	if number, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), number)
	}
}

// again starts this command from the beginning, in the same process.
func again() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
