package livejit_test

import (
	"context"
	"fmt"

	"livejit"
)

// An inline cache: a call that looks a method up remembers in its own site what it has found.
//
// An object begins with the number of its class. The site calls a method directly which checks the class, and goes to the look-up if it
// is another; the look-up has the site changed.
func ExampleEngine_Patchpoints() {
	ctx := context.Background()
	eng, err := livejit.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer eng.Close()
	methods := map[int64]string{1: "square_area", 2: "circle_area"}
	err = eng.Define("found", func(site, class int64) {
		fmt.Println("class", class, "has", methods[class])
		for _, p := range eng.Patchpoints(uint64(site)) {
			if err := p.SetTarget(methods[class]); err != nil {
				fmt.Println(err)
			}
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = eng.Add(ctx, livejit.IR("area.ll", `
		declare i64 @llvm.experimental.patchpoint.i64(i64, i32, ptr, i32, ...)
		declare void @found(i64, i64)
		define i64 @area(i64 %class, i64 %size) {
		  %r = call i64 (i64, i32, ptr, i32, ...) @llvm.experimental.patchpoint.i64(i64 1, i32 13, ptr @look_up, i32 3, i64 1, i64 %class, i64 %size)
		  ret i64 %r
		}
		define i64 @look_up(i64 %site, i64 %class, i64 %size) {
		  call void @found(i64 %site, i64 %class)
		  %r = call i64 @area(i64 %class, i64 %size)
		  ret i64 %r
		}
		define i64 @square_area(i64 %site, i64 %class, i64 %size) {
		  %hit = icmp eq i64 %class, 1
		  br i1 %hit, label %yes, label %no
		yes:
		  %r = mul i64 %size, %size
		  ret i64 %r
		no:
		  %other = tail call i64 @look_up(i64 %site, i64 %class, i64 %size)
		  ret i64 %other
		}
		define i64 @circle_area(i64 %site, i64 %class, i64 %size) {
		  %hit = icmp eq i64 %class, 2
		  br i1 %hit, label %yes, label %no
		yes:
		  %square = mul i64 %size, %size
		  %r = mul i64 %square, 3
		  ret i64 %r
		no:
		  %other = tail call i64 @look_up(i64 %site, i64 %class, i64 %size)
		  ret i64 %other
		}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, object := range [][2]int64{{1, 5}, {1, 6}, {2, 5}, {2, 1}} {
		v, err := eng.Call(ctx, "area", object[0], object[1])
		fmt.Println(v, err)
	}
	// Output:
	// class 1 has square_area
	// 25 <nil>
	// 36 <nil>
	// class 2 has circle_area
	// 75 <nil>
	// 3 <nil>
}
