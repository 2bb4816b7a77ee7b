// Command workers changes functions while many threads run them: goroutines that call in from Go, and threads that native
// code has started itself. Every call gets one version or another, never a mixture, and old versions go when no thread is inside.
//
//	go run ./examples/workers
//
// Two functions name the version they are of, and must agree within a call of both; the threads check that, since both are replaced in one transaction that
// waits until nobody is inside.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"livejit"
	"livejit/clang"
)

const program = `
#include <pthread.h>
#include <stdatomic.h>
long first(void) { return 0; }
long second(void) { return 0; }
long both(void) {
	for (volatile int other = 0; other < 5000; other++) {} // most of the time is spent elsewhere
	long a = first(), b = second();
	return a == b ? a : -1;
}

static atomic_int stop;
static _Atomic long calls, wrong;
static pthread_t threads[2];
static void *work(void *unused) {
	while (!stop) {
		if (both() < 0) wrong++;
		calls++;
	}
	return 0;
}
int start(void) {
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], 0, work, 0)) return i;
	return 2;
}
long end(void) {
	stop = 1;
	for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
	return wrong ? -wrong : calls;
}
`

func main() {
	if err := run(os.Stdout, 50); err != nil {
		fmt.Fprintf(os.Stderr, "workers: %+v\n", err)
		os.Exit(1)
	}
}

func run(out io.Writer, updates int) (err error) {
	ctx := context.Background()
	eng, err := livejit.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	if _, err := eng.Add(ctx, clang.Source("program.c", program, clang.Options{})); err != nil {
		return err
	}
	var both func() (int64, error)
	if err := eng.Bind("both", &both); err != nil {
		return err
	}
	if n, err := eng.Call(ctx, "start"); err != nil || n != int32(2) {
		return fmt.Errorf("%v threads were started: %w", n, err)
	}
	var stop atomic.Bool
	var calls atomic.Int64
	failed := make(chan error, 5)
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for !stop.Load() {
				if v, err := both(); err != nil || v < 0 {
					failed <- fmt.Errorf("two versions in one call: %d, %w", v, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for n := 1; n <= updates; n++ {
		_, err := eng.Update(ctx, func(u *livejit.Update) error {
			u.Replace(livejit.IR("version", fmt.Sprintf("define i64 @first() { ret i64 %[1]d }\ndefine i64 @second() { ret i64 %[1]d }", n)))
			u.Quiescent()
			return nil
		})
		if err != nil {
			failed <- err
			break
		}
	}
	stop.Store(true)
	callers.Wait()
	native, err := eng.Call(ctx, "end")
	if err != nil {
		return err
	}
	if n := native.(int64); n < 0 {
		return fmt.Errorf("%d native calls saw two versions", -n)
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	if err := eng.Quiesce(ctx); err != nil {
		return err
	}
	s := eng.Stats()
	fmt.Fprintf(out, "%d updates of two functions under %d calls from Go and %d on native threads\n", updates, calls.Load(), native)
	fmt.Fprintf(out, "%d old versions were freed, %d are left\n", s.Reclaimed, s.Retired)
	return nil
}
