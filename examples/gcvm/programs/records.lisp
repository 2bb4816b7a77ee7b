; Records of several shapes at the same places of the code: inline caches learn them, also those of functions that are defined anew.

(define (point x y) (record (x x) (y y)))
(define (pixel x y c) (record (colour c) (y y) (x x)))
(define (circle x y r) (record (x x) (y y) (radius r)))

(define (move! p dx dy)
  (put! p x (+ (get p x) dx))
  (put! p y (+ (get p y) dy))
  p)

(define (distance p q)
  (let ((dx (- (get p x) (get q x))) (dy (- (get p y) (get q y))))
    (+ (* dx dx) (* dy dy))))

(define (all n)
  (let ((list nil))
    (while (> n 0)
      (set! list (cons (point n (* n n)) (cons (pixel (+ n 1) n 'red) (cons (circle n n (* 2 n)) list))))
      (set! n (- n 1)))
    list))

(define (distances list from)
  (if (null? list) nil
      (cons (distance (move! (car list) 1 2) from) (distances (cdr list) from))))

(define (total list)
  (let ((n 0))
    (while (pair? list)
      (set! n (+ n (car list)))
      (set! list (cdr list)))
    n))

(display (distances (all 4) (point 0 0)))
(newline)
(display (total (distances (all 30) (pixel 1 1 'blue))))
(newline)

; From now on points have another shape, while a list of old ones is there.
(define old (all 2))
(eval '(define (point x y) (record (name "point") (y y) (extra (cons x y)) (x x))))
(define (mix a b) (if (null? a) b (cons (car a) (mix (cdr a) b))))
(display (mix old (all 1)))
(newline)
(display (distances (mix old (all 2)) (point 1 1)))
(newline)
