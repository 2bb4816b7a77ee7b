package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

const library = `
(define (first l) (if (null? l) 0 (car l)))
(define (sum l) (let ((s 0)) (while (pair? l) (set! s (+ s (car l))) (set! l (cdr l))) (remainder s 1000003)))
(define (length l) (if (null? l) 0 (+ 1 (length (cdr l)))))
(define (reverse l out) (if (null? l) out (reverse (cdr l) (cons (car l) out))))
(define (map f l) (if (null? l) nil (cons (f (car l)) (map f (cdr l)))))
(define (up-to n) (let ((l nil)) (while (> n 0) (set! l (cons n l)) (set! n (- n 1))) l))
(define (twice f) (lambda (x) (f (f x))))
`

// generator makes programs without mistakes: every expression has a kind, and numbers stay small.
type generator struct {
	*rand.Rand
	names     int
	functions int // f0, f1, ... of a number and a list, giving a number
}

type typedName struct{ name, kind string }

// pick returns a variable of that kind, "" if there is none.
func (g *generator) pick(kind string, env []typedName) string {
	var fit []string
	for _, v := range env {
		if v.kind == kind {
			fit = append(fit, v.name)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return fit[g.IntN(len(fit))]
}

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// expr is an expression of kind "number", "list", "function" or "vector".
func (g *generator) expr(kind string, depth int, env []typedName) string {
	number := func() string { return g.expr("number", depth-1, env) }
	if v := g.pick(kind, env); v != "" && (depth <= 0 || g.IntN(4) == 0) {
		return v
	}
	if depth > 0 && g.IntN(3) == 0 { // forms of every kind
		switch g.IntN(3) {
		case 0:
			return fmt.Sprintf("(if (< %s %s) %s %s)", number(), number(), g.expr(kind, depth-1, env), g.expr(kind, depth-1, env))
		case 1:
			k := []string{"number", "list", "function", "vector"}[g.IntN(4)]
			v := typedName{g.name("v"), k}
			return fmt.Sprintf("(let ((%s %s)) %s)", v.name, g.expr(k, depth-1, env), g.expr(kind, depth-1, append(env[:len(env):len(env)], v)))
		default:
			k := []string{"number", "list"}[g.IntN(2)]
			if v := g.pick(k, env); v != "" {
				return fmt.Sprintf("(begin (set! %s %s) %s)", v, g.expr(k, depth-1, env), g.expr(kind, depth-1, env))
			}
		}
	}
	switch kind {
	case "list":
		if depth <= 0 {
			return "nil"
		}
		list := func() string { return g.expr("list", depth-1, env) }
		return [...]func() string{
			func() string { return fmt.Sprintf("(cons %s %s)", number(), list()) },
			func() string { return fmt.Sprintf("(reverse %s nil)", list()) },
			func() string { return fmt.Sprintf("(map %s %s)", g.expr("function", depth-1, env), list()) },
			func() string { return fmt.Sprintf("(up-to %d)", g.IntN(6)) },
			func() string { return fmt.Sprintf("'(%d %d)", g.IntN(100), g.IntN(100)) },
		}[g.IntN(5)]()
	case "function":
		if depth > 1 && g.IntN(4) == 0 {
			return fmt.Sprintf("(twice %s)", g.expr("function", depth-1, env))
		}
		v := typedName{g.name("p"), "number"}
		return fmt.Sprintf("(lambda (%s) %s)", v.name, g.expr("number", depth-1, append(env[:len(env):len(env)], v)))
	case "vector":
		v := g.name("a")
		return fmt.Sprintf("(let ((%s (make-vector 4 %s))) (vector-set! %s %d %s) %s)", v, number(), v, g.IntN(4), number(), v)
	}
	if depth <= 0 {
		return strconv.Itoa(g.IntN(1000))
	}
	list := func() string { return g.expr("list", depth-1, env) }
	return [...]func() string{
		func() string { return fmt.Sprintf("(remainder (+ %s %s) 1000003)", number(), number()) },
		func() string { return fmt.Sprintf("(remainder (* %s %s) 1009)", number(), number()) },
		func() string { return fmt.Sprintf("(- %s %s)", number(), number()) },
		func() string { return fmt.Sprintf("(first %s)", list()) },
		func() string { return fmt.Sprintf("(sum %s)", list()) },
		func() string { return fmt.Sprintf("(length %s)", list()) },
		func() string { return fmt.Sprintf("(%s %s)", g.expr("function", depth-1, env), number()) },
		func() string { return fmt.Sprintf("(vector-ref %s %d)", g.expr("vector", depth-1, env), g.IntN(4)) },
		func() string {
			return fmt.Sprintf("(string-length (string-append (number->string %s) \"ab\"))", number())
		},
		func() string {
			if g.functions == 0 {
				return number()
			}
			return fmt.Sprintf("(f%d %s %s)", g.IntN(g.functions), number(), list())
		},
	}[g.IntN(10)]()
}

// function defines f number i; those before it may be called.
func (g *generator) function(i int) string {
	g.functions = i
	n, l := g.name("n"), g.name("l")
	return fmt.Sprintf("(define (f%d %s %s) %s)", i, n, l, g.expr("number", 4, []typedName{{n, "number"}, {l, "list"}}))
}

// program defines functions, shows what they give, and defines some of them anew in between.
func (g *generator) program() string {
	const functions = 4
	var b strings.Builder
	b.WriteString(library)
	for i := range functions {
		b.WriteString(g.function(i) + "\n")
	}
	for range 3 {
		fmt.Fprintf(&b, "(define (again) (eval '%s))\n(again)\n", g.function(g.IntN(functions)))
		g.functions = functions
		fmt.Fprintf(&b, "(display (cons %s %s)) (newline)\n", g.expr("number", 4, nil), g.expr("list", 4, nil))
	}
	return b.String()
}

// TestRandomPrograms: generated programs print the same however often and wherever they collect. LIVEJIT_GCVM_SEED=n begins with that program.
func TestRandomPrograms(t *testing.T) {
	first, count := uint64(1), uint64(6)
	if s := os.Getenv("LIVEJIT_GCVM_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if stressTime(t) > 0 {
		count = 1000
	}
	for seed := first; seed < first+count; seed++ {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
		program := g.program()
		var want string
		for i, o := range []options{{level: 2}, {level: 0, stress: true}, {level: 2, stress: true}} {
			o.heapSize = testHeap
			var out strings.Builder
			var total totals
			if err := total.run(&out, program, o); err != nil {
				t.Fatalf("seed %d, %+v: %v\n%s", seed, o, err, program)
			}
			if i == 0 {
				want = out.String()
			} else if out.String() != want {
				t.Fatalf("seed %d, %+v: printed\n%swhere without stress it was\n%s%s", seed, o, &out, want, program)
			}
		}
	}
}
