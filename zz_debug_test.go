package livejit_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"testing"
)

func TestZZLarge(t *testing.T) {
	n := 100000
	warmUp(t)
	resident(t)
	var ms0, ms1 runtime.MemStats
	runtime.ReadMemStats(&ms0)
	r0 := resident(t)
	e := newEngine(t)
	m := add(t, e, "large", manyFunctions(n))
	r1 := resident(t)
	runtime.ReadMemStats(&ms1)
	fmt.Println("RSS delta KiB", (r1-r0)>>10, "heapAlloc", (int64(ms1.HeapAlloc)-int64(ms0.HeapAlloc))>>10, "heapinuse", (int64(ms1.HeapInuse)-int64(ms0.HeapInuse))>>10, "sys", (int64(ms1.Sys-ms1.HeapReleased)-int64(ms0.Sys-ms0.HeapReleased))>>10)
	fmt.Printf("%+v\n%+v\n", m.Stats(), e.Stats())
	f, _ := os.Create("/tmp/rem/heap.prof")
	pprof.WriteHeapProfile(f)
	f.Close()
	add(t, e, "trim", "declare i32 @malloc_trim(i64)\ndeclare void @malloc_stats()\ndefine i32 @trim() { %r = call i32 @malloc_trim(i64 0) ret i32 %r }\ndefine void @stats() { call void @malloc_stats() ret void }")
	e.Call(background, "stats")
	fmt.Println(e.Call(background, "trim"))
	r2 := resident(t)
	fmt.Println("after trim RSS delta KiB", (r2-r0)>>10)
	out, _ := exec.Command("sh", "-c", fmt.Sprintf("awk '/^[0-9a-f]+-/{name=$1\" \"$2\" \"$6} /^Pss:/{if($2>2000)print $2,name}' /proc/%d/smaps", os.Getpid())).Output()
	fmt.Println(string(out))
	callAll(t, e, n)
}
