; Merge sort of a list of pseudo-random numbers, by an order given as a function.

(define (random-list n seed)
  (let ((list nil))
    (while (> n 0)
      (set! seed (remainder (+ (* seed 1103515245) 12345) 2147483648))
      (set! list (cons (remainder seed 1000) list))
      (set! n (- n 1)))
    list))

(define (split list)
  (let ((odd nil) (even nil))
    (while (pair? list)
      (set! odd (cons (car list) odd))
      (set! list (cdr list))
      (if (pair? list)
          (begin (set! even (cons (car list) even))
                 (set! list (cdr list)))))
    (cons odd even)))

(define (merge a b before?)
  (cond ((null? a) b)
        ((null? b) a)
        ((before? (car b) (car a)) (cons (car b) (merge a (cdr b) before?)))
        (else (cons (car a) (merge (cdr a) b before?)))))

(define (sort list before?)
  (if (or (null? list) (null? (cdr list)))
      list
      (let ((halves (split list)))
        (merge (sort (car halves) before?) (sort (cdr halves) before?) before?))))

(define (less? a b) (< a b))

(display (sort (random-list 60 42) less?))
(newline)
(display (sort (random-list 60 42) (lambda (a b) (> a b))))
(newline)
