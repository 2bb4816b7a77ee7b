#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
struct tls_index {
	uint64_t module, offset;
};
typedef void *(*get_addr_fn)(struct tls_index *);
typedef int (*cxa_fn)(void (*)(void *), void *, void *);

// Threads: each checks the initial image and the alignment, then keeps its own values. Returns the number of failures.
int64_t tls_threads(get_addr_fn get, uint64_t module, const unsigned char *image, int64_t image_size, int64_t size, int64_t align, int64_t threads, int64_t rounds);
// A thread whose C++ thread_local and pthread key destructors still use the block. Returns the number of destructors that saw its value.
int64_t tls_at_thread_exit(get_addr_fn get, uint64_t module);
int64_t tls_read(get_addr_fn get, struct tls_index *index, int misaligned);
// Two threads that hold blocks until told to go on; returns when both hold one, then after released.
void *tls_holders_start(get_addr_fn get, uint64_t module, int64_t n);
void tls_holders_end(void *);
// Calls a descriptor with known values in all registers: 0 if all are preserved and *result is the address, else the number of the first that is not.
int64_t tlsdesc_call(uint64_t *descriptor, uint64_t *result);
int64_t tlsdesc_on_new_thread(uint64_t *descriptor, uint64_t *result);
uint64_t host_module(uint64_t *offset, uint64_t *tpoff, uint64_t *address);

// Handlers: append a character to the log.
void set_log(char *log);
void log_arg(void *c);
void log_x(void);
void log_y(void);
void log_throw(void *c);
void log_status(int status, void *c);
void log_and_register(void *cxa_and_dso);
void log_prepare(void);
void log_parent(void);
void log_child(void);
void fork_once(void);
void puts_arg(void *text);
void call_exit(int code);
void call_quick_exit(int code);
void from_thread(int (*cxa_thread)(void (*)(void *), void *, void *), void *c, void *dso);
void *parked_thread(int (*cxa_thread)(void (*)(void *), void *, void *), void *c, void *dso);
void parked_thread_end(void *);
void exit_in_handler(void *c);
#ifdef __cplusplus
}
#endif
