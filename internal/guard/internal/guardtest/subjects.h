#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef int64_t (*callback_fn)(int64_t);

int64_t add3(int64_t a, int64_t b, int64_t c);
int64_t weigh(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
#ifdef __cplusplus
long double half(long double x);
#else
void half(void); // cgo knows no long double
#endif
int variadic_sum(char *out, const char *format, double a, double b);
void throw_kind(int kind);
void throw_struct_named(void);
int64_t call_with_destructors(callback_fn fn, int64_t depth, int64_t *destroyed);
int64_t swallow(callback_fn fn, int64_t *log);
int64_t typed_catch(callback_fn fn, int64_t *log);
int64_t noexcept_frame(callback_fn fn, int64_t *log);
int64_t throwing_destructor(callback_fn fn, int64_t *log);
int64_t callback_in_destructor(callback_fn fn, callback_fn inner, int64_t *log);
int64_t callback_in_catch(callback_fn fn);
int64_t in_qsort(callback_fn fn, int64_t *log);
int64_t caught_count(void);
void land_in_catch(void (*land)(int, uint64_t), int64_t detail);
int64_t on_thread(callback_fn fn, int64_t threads, int64_t rounds);
void bare_thread(callback_fn fn);
int64_t set_rounding(int mode);
int64_t get_rounding(void);
int64_t rounding_around(callback_fn fn);
int64_t signal_land(int (*land)(int, int, void *, void *));
int64_t call_guard(int (*call)(void *), void *frame);
int64_t exit_thread(void);
int64_t forced_unwinding_passes(int (*call)(void *), void *frame);
int64_t depth_of_backtrace(void);
int64_t empty(int64_t a);
void stomp_callee_saved(void (*land)(int, uint64_t));
uint64_t callee_saved_kept(int (*call)(void *), void *frame);
#ifdef __cplusplus
}
#endif
