; How many ways there are to put n queens on a board of n rows, with lists and closures.

(define (safe? column distance placed)
  (cond ((null? placed) t)
        ((= (car placed) column) nil)
        ((= (car placed) (+ column distance)) nil)
        ((= (car placed) (- column distance)) nil)
        (else (safe? column (+ distance 1) (cdr placed)))))

(define (each-column n f)
  (let ((i 0))
    (while (< i n)
      (f i)
      (set! i (+ i 1)))))

; The closures share count, which is why it lives in an object of its own.
(define (queens n)
  (let ((count 0) (first nil))
    (place n n nil (lambda (solution)
      (if (null? first) (set! first solution))
      (set! count (+ count 1))))
    (cons count first)))

(define (place n rows placed found)
  (if (= rows 0)
      (found placed)
      (each-column n (lambda (column)
        (if (safe? column 1 placed)
            (place n (- rows 1) (cons column placed) found))))))

(define (show n)
  (display n)
  (display " queens: ")
  (display (queens n))
  (newline))

(show 4)
(show 5)
(show 6)
