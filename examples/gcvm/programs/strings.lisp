; Strings are objects, too: they are made by Go functions, which hold the arguments while they allocate.

(define (join words separator)
  (cond ((null? words) "")
        ((null? (cdr words)) (car words))
        (else (string-append (car words) (string-append separator (join (cdr words) separator))))))

(define (count-to n)
  (let ((words nil))
    (while (> n 0)
      (set! words (cons (number->string n) words))
      (set! n (- n 1)))
    words))

(define (reverse-string s)
  (let ((out "") (i 0))
    (while (< i (string-length s))
      (set! out (string-append (substring s i (+ i 1)) out))
      (set! i (+ i 1)))
    out))

; A table of the words by length: a vector of lists.
(define (by-length words longest)
  (let ((table (make-vector (+ longest 1) nil)))
    (while (pair? words)
      (let ((n (string-length (car words))))
        (vector-set! table n (cons (car words) (vector-ref table n))))
      (set! words (cdr words)))
    table))

(define (length l) (if (null? l) 0 (+ 1 (length (cdr l)))))

(define numbers (join (count-to 60) ","))
(display numbers)
(newline)
(display (reverse-string numbers))
(newline)
(display (string=? numbers (reverse-string (reverse-string numbers))))
(newline)

(define table (by-length (count-to 120) 3))
(display (length (vector-ref table 1)))
(display " ")
(display (length (vector-ref table 2)))
(display " ")
(display (length (vector-ref table 3)))
(display " ")
(display (vector-ref table 1))
(newline)
