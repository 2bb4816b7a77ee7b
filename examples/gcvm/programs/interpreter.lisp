; An interpreter of a still smaller Lisp, written in this one: expressions are quoted lists, environments are lists of pairs.

(define (find name env)
  (cond ((null? env) (error (cons 'unknown name)))
        ((eq? (car (car env)) name) (cdr (car env)))
        (else (find name (cdr env)))))

(define (run-all list env)
  (if (null? list) nil (cons (run (car list) env) (run-all (cdr list) env))))

(define (extend names values env)
  (if (null? names)
      env
      (cons (cons (car names) (car values)) (extend (cdr names) (cdr values) env))))

; A function of the interpreted language is (function names body environment), one of the interpreter is a procedure of a list of arguments.
(define (call f args)
  (if (procedure? f)
      (f args)
      (let ((parts (cdr f)))
        (run (car (cdr parts)) (extend (car parts) args (car (cdr (cdr parts))))))))

(define (run x env)
  (cond ((symbol? x) (find x env))
        ((not (pair? x)) x)
        ((eq? (car x) 'quote) (car (cdr x)))
        ((eq? (car x) 'if)
         (if (run (car (cdr x)) env)
             (run (car (cdr (cdr x))) env)
             (run (car (cdr (cdr (cdr x)))) env)))
        ((eq? (car x) 'function)
         (cons 'function (cons (car (cdr x)) (cons (car (cdr (cdr x))) (cons env nil)))))
        ((eq? (car x) 'recursive) ; (recursive name function body): the function sees itself
         (let ((pair (cons (car (cdr x)) nil)))
           (let ((inner (cons pair env)))
             (set-cdr! pair (run (car (cdr (cdr x))) inner))
             (run (car (cdr (cdr (cdr x)))) inner))))
        (else (let ((all (run-all x env)))
                (call (car all) (cdr all))))))

(define world
  (cons (cons '+ (lambda (a) (+ (car a) (car (cdr a)))))
  (cons (cons '- (lambda (a) (- (car a) (car (cdr a)))))
  (cons (cons '< (lambda (a) (< (car a) (car (cdr a)))))
  (cons (cons 'cons (lambda (a) (cons (car a) (car (cdr a)))))
  (cons (cons 'text (lambda (a) (number->string (car a))))
  (cons (cons 'join (lambda (a) (string-append (car a) (car (cdr a))))) nil)))))))

(define (show x) (display (run x world)) (newline))

(show '(recursive fib (function (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (fib 9)))
(show '(recursive list (function (n) (if (< n 1) (quote (end)) (cons (text n) (list (- n 1))))) (list 12)))
(show '(recursive line (function (n) (if (< n 1) "" (join (line (- n 1)) (join (text n) " ")))) (line 12)))
(show '(((function (f) (function (x) (f (f x)))) (function (y) (+ y y))) 10))
