; Functions are defined anew while they run: activations of old versions go on as they are, with their values on the stack, and every new call is of the new version.

(define (step list) (cons 1 list))

(define (sum list)
  (let ((n 0))
    (while (pair? list)
      (set! n (+ n (car list)))
      (set! list (cdr list)))
    n))

; Makes a source text as a list: (define (step list) (cons n list)).
(define (definition n)
  (cons 'define (cons '(step list) (cons (cons 'cons (cons n '(list))) nil))))

; Redefines step before each of its calls.
(define (steps n)
  (let ((list nil) (i 1))
    (while (<= i n)
      (eval (definition (* i i)))
      (set! list (step list))
      (set! i (+ i 1)))
    list))

(display (steps 8))
(display " sum ")
(display (sum (steps 8)))
(newline)

; Each activation redefines its own function before it calls itself; all of these versions are on the stack when the innermost collects, and go on afterwards.
(define (dig n)
  (let ((mine (cons n nil)))
    (if (= n 0)
        (begin (collect) mine)
        (begin
          (eval (cons 'define (cons '(dig n) (cons (cons 'version (cons n (cons 'n nil))) nil))))
          (let ((below (dig (- n 1))))
            (cons (car mine) below))))))

; What versions of dig do: they tell their number, and go on with the next.
(define (version number n)
  (let ((mine (cons (cons number n) nil)))
    (if (= n 0)
        (begin (collect) mine)
        (begin
          (eval (cons 'define (cons '(dig n) (cons (cons 'version (cons (* 10 number) (cons 'n nil))) nil))))
          (let ((below (dig (- n 1))))
            (cons (car mine) below))))))

(display (dig 4))
(newline)

; A closure of an old version keeps its code.
(define (adder n) (lambda (x) (+ x n)))
(define old (adder 100))
(eval '(define (adder n) (let ((twice (* 2 n))) (lambda (x) (+ x (+ n twice))))))
(define new (adder 100))
(display (cons (old 1) (new 1)))
(newline)

; An expression that is evaluated enters compiled code again, below code that is running.
(define (nest n) (if (= n 0) (cons 'inside nil) (cons n (eval (cons 'nest (cons (- n 1) nil))))))
(display (nest 5))
(newline)
