package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livejit"
)

// stressTime is how long each program runs under stress, at each level: LIVEJIT_GCVM=5m for long.
func stressTime(t *testing.T) time.Duration {
	d, err := time.ParseDuration(os.Getenv("LIVEJIT_GCVM"))
	if err != nil && os.Getenv("LIVEJIT_GCVM") != "" {
		t.Fatal(err)
	}
	return d
}

const testHeap = 64 << 20

// TestPrograms runs all programs, collecting when the heap is full and at each allocation: their output is that of the files beside them, each time.
func TestPrograms(t *testing.T) {
	files, err := filepath.Glob("programs/*.lisp")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".lisp") + ".want")
		if err != nil {
			t.Fatal(err)
		}
		for _, level := range []int{0, 2} {
			for _, stress := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/O%d/stress=%t", filepath.Base(file), level, stress), func(t *testing.T) {
					var long time.Duration
					if stress {
						long = stressTime(t)
					}
					var out strings.Builder
					total, err := repeat(&out, file, options{stress: stress, level: level, heapSize: testHeap}, long)
					if err != nil {
						t.Fatalf("%v, after %s", err, total)
					}
					if out.String() != string(want) {
						t.Errorf("output:\n%s", &out)
					}
					if stress && (total.collections < 100*total.runs || total.moved == 0 || total.frames == 0) {
						t.Errorf("little stress: %s", total)
					}
				})
			}
		}
	}
}

// TestStressSees: a collector that forgets what frames hold does not get away with it under stress.
func TestStressSees(t *testing.T) {
	program, err := os.ReadFile("programs/trees.lisp")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	m := testMachine(t, &out, options{stress: true, level: 2, heapSize: testHeap})
	right := m.heap.roots
	m.heap.roots = func(_ walker, move func(uintptr) uintptr) error {
		return right(func(func(*livejit.StackFrame) error) error { return nil }, move) // no frames
	}
	var fault *livejit.FaultError
	if err := m.run(string(program)); !errors.As(err, &fault) {
		t.Errorf("error %v, output %q", err, out.String())
	}
}

func testMachine(t *testing.T, out *strings.Builder, o options) *machine {
	t.Helper()
	m, err := newMachine(out, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestMistakes: mistakes in programs end with an error that says what is wrong, and the machine goes on.
func TestMistakes(t *testing.T) {
	var out strings.Builder
	m := testMachine(t, &out, options{level: 0, heapSize: 2 << 20})
	if err := m.run("(define (id x) x) (define (adder n) (lambda (x) (+ x n)))"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ program, want string }{
		{"(car 5)", "5 is no pair"},
		{"(set-cdr! nil 1)", "nil is no pair"},
		{"(+ 1 'a)", "a symbol is no number"},
		{`(string-length "a" "b")`, "string-length takes 1 arguments, not 2"},
		{"(+ 4611686018427387903 1)", "does not fit into 63 bits"},
		{"(* 3037000500 3037000500)", "does not fit into 63 bits"},
		{"(quotient -4611686018427387904 -1)", "does not fit into 63 bits"},
		{"4611686018427387904", "line 1: 4611686018427387904 has more than 63 bits"},
		{"(remainder 4 0)", "4 is divided by 0"},
		{"(foo)", "foo is not defined"},
		{"(id)", "id takes 1 arguments, not 0"},
		{"((adder 1))", "wrong number of arguments"},
		{"(5 5)", "5 is called and is no function"},
		{"(vector-ref (make-vector 3 0) 3)", "index 3 is out of range"},
		{"(vector-ref (make-vector 3 0) -1)", "index -1 is out of range"},
		{"(make-vector -1 0)", "no vector can have -1 elements"},
		{`(substring "abc" 2 4)`, "no part from 2 to 4 of a string of 3 bytes"},
		{"(get 1 x)", "1 is no record"},
		{"(get (record (x 1) (y 2)) z)", "a record with the fields [x y] has no field z"},
		{"(put! (record) x 1)", "a record with the fields [] has no field x"},
		{"(record (x 1) (x 2))", "x is no name of a field, or twice"},
		{`(error "mine")`, "mine"},
		{`(eval '(error "nested"))`, "nested"},
		{"(eval '(define (id x y) x))", "id has 1 parameters, and cannot have 2"},
		{"(define (car x) x)", "car is something else already"},
		{"(define id 3)", "id is a function"},
		{"(let ((x)) 1)", "(x) is no binding, in (let ...)"},
		{"(define (g) (h))\n(display 1)", "g: h is not defined"},
		{"(display 1))", "line 1: a closing parenthesis"},
		{"\n(display", "line 2: the program ends inside of a list"},
		{`(display "a`, "inside of a string"},
		{"(define (down n) (+ 1 (down n))) (down 1)", "stack overflow"},
		{"(define (more l) (more (cons 1 l))) (more nil)", "the heap is full"},
		{"(make-vector 1000000 0)", "the heap is full"},
	} {
		if err := m.run(c.program); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.program, err, c.want)
		}
	}
	out.Reset()
	err := m.run("(display (id (cons (quotient -7 2) (cons (remainder -7 2) (cons (* -5 7) (cons ((adder 3) 4) nil))))))")
	if err != nil || out.String() != "(-3 -1 -35 7)" {
		t.Errorf("afterwards: %q, %v", out.String(), err)
	}
}

// TestTailCalls: a loop that is written as a function that calls itself, or another with as many parameters, needs no stack.
func TestTailCalls(t *testing.T) {
	for _, level := range []int{0, 2} {
		var out strings.Builder
		m := testMachine(t, &out, options{level: level, heapSize: testHeap})
		err := m.run(`(define (even n f) (cond ((= n 0) (f)) (else (odd (- n 1) f))))
(define (odd n f) (if (= n 0) nil (even (- n 1) f)))
(display (even 1000000 (lambda () "even")))`)
		if err != nil || out.String() != "even" {
			t.Errorf("O%d: %q, %v", level, out.String(), err)
		}
	}
}

// TestInlineCaches: a place looks a field up once for each shape, until it has seen too many.
func TestInlineCaches(t *testing.T) {
	var out strings.Builder
	m := testMachine(t, &out, options{level: 2, heapSize: testHeap})
	run := func(program, want string, lookups int) {
		t.Helper()
		out.Reset()
		m.lookups = 0
		if err := m.run(program); err != nil || out.String() != want || m.lookups != lookups {
			t.Errorf("%s: printed %q after %d lookups, %v; want %q after %d", program, &out, m.lookups, err, want, lookups)
		}
	}
	run(`(define (x-of r) (get r x))
(define (many r n) (let ((sum 0)) (while (> n 0) (set! sum (+ sum (x-of r))) (set! n (- n 1))) sum))
(display (many (record (x 1)) 1000)) (display " ") (display (many (record (y 1) (x 2)) 1000)) (display " ") (display (many (record (x 3)) 1000))`,
		"1000 2000 3000", 2)
	run("(define (x-of r) (+ 1 (get r x))) (display (many (record (x 1)) 1000))", "2000", 1)
	var shapes strings.Builder
	for i := range cacheSize + 1 {
		fmt.Fprintf(&shapes, "(many (record (f%d 0) (x 1)) 10)", i)
	}
	run(shapes.String(), "", cacheSize-1+20)
}

// TestOldCodeGoes: versions that nothing runs any more are freed, however often a function is defined again.
func TestOldCodeGoes(t *testing.T) {
	var out strings.Builder
	m := testMachine(t, &out, options{level: 0, heapSize: testHeap})
	again := func(n int) int {
		if err := m.run(fmt.Sprintf(`(define (f) 0) (define (again n) (while (> n 0) (eval (cons 'define (cons '(f) (cons n nil)))) (f) (set! n (- n 1)))) (again %d)`, n)); err != nil {
			t.Fatal(err)
		}
		if err := m.eng.Quiesce(t.Context()); err != nil {
			t.Fatal(err)
		}
		return m.eng.Stats().Pieces
	}
	if few, many := again(5), again(100); many > few {
		t.Errorf("%d pieces of code after few definitions, %d after many", few, many)
	}
}
