; Binary trees: many small objects, most of which die young, while one tree stays.

(define (make depth)
  (if (= depth 0)
      (cons nil nil)
      (cons (make (- depth 1)) (make (- depth 1)))))

(define (check tree)
  (if (null? (car tree))
      1
      (+ 1 (+ (check (car tree)) (check (cdr tree))))))

(define (tell what n depth)
  (begin (display what) (display n) (display " of depth ") (display depth)))

(define (rounds depth n)
  (let ((sum 0) (i 0))
    (while (< i n)
      (set! sum (+ sum (check (make depth))))
      (set! i (+ i 1)))
    (tell "trees: " n depth)
    (display ", nodes: ")
    (display sum)
    (newline)))

(define (all kept depth largest)
  (if (> depth largest)
      (begin (tell "kept: " 1 largest) (display ", nodes: ") (display (check kept)) (newline))
      (begin (rounds depth (* 2 (- 9 depth)))
             (all kept (+ depth 2) largest))))

(all (make 8) 2 8)
