package livejit_test

import (
	"context"
	"errors"
	"fmt"

	"livejit"
	"livejit/clang"
)

func Example() {
	ctx := context.Background()
	eng, err := livejit.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer eng.Close()
	if err := eng.Define("host_log", func(n int64) { fmt.Println("native code says", n) }); err != nil {
		fmt.Println(err)
		return
	}
	_, err = eng.Add(ctx, clang.Source("fib.c", `
		void host_log(long n);
		long fib(long n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
		void report(long n) { host_log(fib(n)); }
	`, clang.Options{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var fib func(n int64) (int64, error)
	if err := eng.Bind("fib", &fib); err != nil {
		fmt.Println(err)
		return
	}
	v, err := fib(20)
	fmt.Println(v, err)
	_, err = eng.Call(ctx, "report", 15)
	fmt.Println(err)
	// Output:
	// 6765 <nil>
	// native code says 610
	// <nil>
}

func ExampleSplit() {
	parts, err := livejit.Split(livejit.IR("m.ll", `
		@counter = internal global i64 0
		define i64 @next() { %v = load i64, ptr @counter  %w = add i64 %v, 1  store i64 %w, ptr @counter  ret i64 %w }
		define i64 @twice() { %a = call i64 @next()  %b = call i64 @next()  ret i64 %b }`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range parts {
		fmt.Println(p.Name, p.Functions)
	}
	// Output:
	// next [next]
	// twice [twice]
	// data []
}

func ExampleEngine_Symbolize() {
	eng, err := livejit.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer eng.Close()
	if _, err := eng.Add(context.Background(), livejit.IR("id.ll", "define i64 @id(i64 %x) { ret i64 %x }")); err != nil {
		fmt.Println(err)
		return
	}
	id := eng.Function("id")
	body := id.Versions()[0]
	for _, pc := range []uintptr{id.Addr(), body.Addr, body.Addr + 1} {
		l, ok := eng.Symbolize(uint64(pc))
		fmt.Println(l, ok)
	}
	// Output:
	// stub of id true
	// id@1+0x0 true
	// id@1+0x1 true
}

// A tool follows what happens to an engine. A slow one misses events, and never holds the engine up.
func ExampleWithIRDebug() {
	ctx := context.Background()
	eng, err := livejit.New(livejit.WithIRDebug())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer eng.Close()
	if _, err := eng.Add(ctx, livejit.IR("clear.ll", `
		define void @clear(i64 %address) {
			%p = inttoptr i64 %address to ptr
			store i32 0, ptr %p
			ret void
		}`)); err != nil {
		fmt.Println(err)
		return
	}
	_, err = eng.Call(ctx, "clear", 8)
	var fault *livejit.FaultError
	if errors.As(err, &fault) {
		at := fault.Backtrace[0]
		fmt.Printf("%s@%d: %s\n", at.Function, at.Version, at.IR)
	}
	// Output:
	// clear@1: store i32 0, ptr %p, align 4
}

func ExampleEngine_Events() {
	ctx := context.Background()
	eng, err := livejit.New()
	if err != nil {
		panic(err)
	}
	flow := eng.Events(16)
	if _, err := eng.Add(ctx, livejit.IR("answer.ll", "define i64 @answer() { ret i64 41 }")); err != nil {
		panic(err)
	}
	if _, err := eng.Replace(ctx, livejit.IR("answer.ll", "define i64 @answer() { ret i64 42 }")); err != nil {
		panic(err)
	}
	if err := eng.Close(); err != nil { // closes the flow, too
		panic(err)
	}
	for event := range flow.C() {
		fmt.Println(event.Number, event.Operation, event.Verdicts)
	}
	// Output:
	// 1 add [added answer@1]
	// 2 replace [replaced answer@2]
}
