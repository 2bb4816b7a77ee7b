#include "subjects.h"

#include <aio.h>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <threads.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

#define NOINLINE __attribute__((noinline))

void sleep_until(volatile int *go, int want) {
	while (*go < want) {
		timespec t = {0, 20000};
		nanosleep(&t, nullptr);
	}
}

void wait_for(actor *a, int want) {
	switch (a->pause) {
	case SPIN:
		while (a->go < want)
			__builtin_ia32_pause();
		break;
	case SLEEP: {
		timespec t = {1000, 0};
		while (a->go < want)
			nanosleep(&t, &t); // ended by actor_go's signal
		break;
	}
	case READ: {
		char c;
		while (a->go < want)
			if (read(a->pipe[0], &c, 1) < 0 && errno != EINTR)
				abort();
		break;
	}
	case BLOCKED: {
		sigset_t all, old;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		sleep_until(&a->go, want);
		pthread_sigmask(SIG_SETMASK, &old, nullptr);
	}
	}
}

void arrive(actor *a, int stage) {
	a->tid = (int)syscall(SYS_gettid);
	std::atomic_thread_fence(std::memory_order_seq_cst);
	a->stage = stage;
}

NOINLINE void on_stack(actor *a, int depth) {
	volatile uint64_t kept[8] __attribute__((unused)) = {};
	if (depth == 0) {
		kept[3] = ~a->masked;
		arrive(a, 1);
		wait_for(a, 1);
		kept[3] = 0;
	} else {
		on_stack(a, depth - 1);
	}
	kept[4] = 1;
}

NOINLINE void in_register(actor *a) {
	arrive(a, 1);
	asm volatile("movq %0, %%r13\n\tnotq %%r13\n1:\tpause\n\tcmpl $1, %1\n\tjl 1b\n\txorl %%r13d, %%r13d" : : "m"(a->masked), "m"(a->go) : "r13", "cc", "memory");
}

NOINLINE void in_vector(actor *a) {
	arrive(a, 1);
	asm volatile("pcmpeqd %%xmm11, %%xmm11\n\tmovq %0, %%xmm9\n\tpxor %%xmm11, %%xmm9\n\tpslldq $8, %%xmm9\n1:\tpause\n\tcmpl $1, %1\n\tjl 1b\n\tpxor %%xmm9, %%xmm9"
		: : "m"(a->masked), "m"(a->go) : "xmm9", "xmm11", "cc", "memory");
}

NOINLINE void in_red_zone(actor *a) {
	arrive(a, 1);
	asm volatile("movq %0, %%r11\n\tnotq %%r11\n\tmovq %%r11, -120(%%rsp)\n\txorl %%r11d, %%r11d\n1:\tpause\n\tcmpl $1, %1\n\tjl 1b\n\tmovq $0, -120(%%rsp)"
		: : "r"(a->masked), "m"(a->go) : "r11", "cc", "memory");
}

char *code() {
	static char *page = [] {
		// 1: pause; cmpl $1,(%rdi); jl 1b; then jump out of the range: jmp *%rsi
		const unsigned char loop[] = {0xf3, 0x90, 0x83, 0x3f, 0x01, 0x7c, 0xf9, 0xff, 0xe6};
		char *p = static_cast<char *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		memcpy(p + 64, loop, sizeof loop);
		mprotect(p, 4096, PROT_READ | PROT_EXEC);
		return p;
	}();
	return page + 64;
}

// The address of the loop is only in the program counter: it is entered by a jump through memory.
NOINLINE void in_counter(actor *a) {
	static char *const volatile target = code();
	arrive(a, 1);
	asm volatile("leaq 1f(%%rip), %%rsi\n\tmovq %0, %%rdi\n\tjmpq *%1\n1:\txorl %%esi, %%esi" : : "r"(&a->go), "m"(target) : "rdi", "rsi", "cc", "memory");
}

void keep(actor *a) {
	switch (a->place) {
	case STACK: on_stack(a, 200); break;
	case REGISTER: in_register(a); break;
	case VECTOR: in_vector(a); break;
	case RED_ZONE: in_red_zone(a); break;
	case COUNTER: in_counter(a); break;
	}
}

NOINLINE void act(actor *a) {
	keep(a);
	arrive(a, 2);
	sleep_until(&a->go, 2);
}

struct AtThreadEnd {
	actor *a = nullptr;
	~AtThreadEnd() {
		if (a)
			act(a);
	}
};
thread_local AtThreadEnd at_thread_end;

// Cancellation unwinds: the destructor acts.
struct WhenUnwound {
	actor *a;
	~WhenUnwound() { act(a); }
};

void at_key(void *p) {
	actor *a = static_cast<actor *>(p);
	if (a->launch == LAST_KEY && ++a->pipe[0] < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(a->key, a);
		return;
	}
	act(a);
}

actor *acting_in_handler;

void in_handler(int) {
	actor *a = acting_in_handler;
	if (a->launch == ALTERNATE) {
		on_stack(a, 5);
		return;
	}
	arrive(a, 1);
	wait_for(a, 1);
}

NOINLINE void interrupted(actor *a) {
	volatile uint64_t kept[4] __attribute__((unused)) = {};
	kept[1] = ~a->masked;
	raise_here(SIGUSR2);
	kept[1] = 0;
}

// A handler on an alternate stack keeps the address itself, or the frame does that it has interrupted.
void on_alternate_stack(actor *a) {
	stack_t s = {}, old;
	s.ss_size = 65536;
	s.ss_sp = malloc(s.ss_size);
	sigaltstack(&s, &old);
	struct sigaction action = {};
	action.sa_handler = in_handler;
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, nullptr);
	acting_in_handler = a;
	if (a->launch == ALTERNATE)
		raise_here(SIGUSR2);
	else
		interrupted(a);
	arrive(a, 2);
	sleep_until(&a->go, 2);
	sigaltstack(&old, nullptr);
	free(s.ss_sp);
}

void on_context(actor *a) {
	static ucontext_t back, there;
	const size_t size = 1 << 18;
	char *stack = static_cast<char *>(malloc(size));
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = size;
	there.uc_link = &back;
	makecontext(&there, reinterpret_cast<void (*)()>(keep), 1, a);
	swapcontext(&back, &there);
	arrive(a, 2);
	sleep_until(&a->go, 2);
	free(stack);
}

void body(actor *a) {
	switch (a->launch) {
	case THREAD_LOCAL:
		at_thread_end.a = a;
		return;
	case KEY:
	case LAST_KEY:
		pthread_setspecific(a->key, a);
		return;
	case CANCELLED: {
		WhenUnwound w = {a};
		arrive(a, 10); // ready to be cancelled
		for (;;)
			pause();
	}
	case EXITED: {
		WhenUnwound w = {a};
		pthread_exit(nullptr);
	}
	case ALTERNATE:
	case INTERRUPTED:
		on_alternate_stack(a);
		return;
	case CONTEXT:
		on_context(a);
		return;
	default:
		act(a);
	}
}

void *pthread_body(void *p) {
	body(static_cast<actor *>(p));
	return nullptr;
}

int c11_body(void *p) {
	body(static_cast<actor *>(p));
	return 0;
}

void nothing(int) {}

void must(int e) {
	if (e)
		abort();
}

} // namespace

actor *actor_start(int launch, int place, int pause, uint64_t masked) {
	actor *a = static_cast<actor *>(calloc(1, sizeof *a));
	a->launch = launch;
	a->place = place;
	a->pause = pause;
	a->masked = masked;
	struct sigaction action = {};
	action.sa_handler = nothing; // interrupts sleeps
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &action, nullptr);
	if (pause == READ)
		must(pipe2(a->pipe, O_CLOEXEC));
	if (launch == KEY || launch == LAST_KEY) {
		pthread_key_t k;
		must(pthread_key_create(&k, at_key));
		a->key = (int)k;
	}
	pthread_t t;
	thrd_t c;
	switch (launch) {
	case STD_THREAD:
		a->handle[0] = reinterpret_cast<uint64_t>(new std::thread(body, a));
		break;
	case C11:
		must(thrd_create(&c, c11_body, a) != thrd_success);
		a->handle[0] = c;
		break;
	case DETACHED: {
		pthread_attr_t attr;
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		must(pthread_create(&t, &attr, pthread_body, a));
		pthread_attr_destroy(&attr);
		break;
	}
	default:
		must(pthread_create(&t, nullptr, pthread_body, a));
		a->handle[0] = t;
	}
	return a;
}

void actor_go(actor *a, int go) {
	a->go = go;
	if (go != 1)
		return;
	if (a->pause == SLEEP)
		syscall(SYS_tgkill, getpid(), a->tid, SIGUSR1);
	if (a->pause == READ)
		must(write(a->pipe[1], "", 1) != 1);
}

void actor_cancel(actor *a) { must(pthread_cancel(a->handle[0])); }

void actor_end(actor *a) {
	switch (a->launch) {
	case STD_THREAD: {
		std::thread *t = reinterpret_cast<std::thread *>(a->handle[0]);
		t->join();
		delete t;
		break;
	}
	case C11:
		must(thrd_join(a->handle[0], nullptr) != thrd_success);
		break;
	case DETACHED:
		break;
	default:
		must(pthread_join(a->handle[0], nullptr));
	}
	if (a->launch == KEY || a->launch == LAST_KEY)
		pthread_key_delete(a->key);
	if (a->pause == READ) {
		close(a->pipe[0]);
		close(a->pipe[1]);
	}
	free(a);
}

static NOINLINE void keep_while(uint64_t masked, void (*fn)(uint64_t), uint64_t arg) {
	volatile uint64_t kept[4] __attribute__((unused)) = {};
	kept[1] = ~masked;
	fn(arg);
	kept[1] = 0;
}

void keep_and_call(uint64_t masked, uint64_t fn, uint64_t arg, uint64_t after, uint64_t arg2) {
	keep_while(masked, reinterpret_cast<void (*)(uint64_t)>(fn), arg);
	// What Go has left in vector registers would be saved by the next callback.
	asm volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\t"
		"pxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\tpxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7"
		: : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
	reinterpret_cast<void (*)(uint64_t)>(after)(arg2);
}

void keep_and_wait(uint64_t masked, volatile int *stage, volatile int *go) {
	volatile uint64_t kept[4] __attribute__((unused)) = {};
	kept[1] = ~masked;
	*stage = 1;
	sleep_until(go, 1);
	kept[1] = 0;
}

void act_at_end(actor *a) { at_thread_end.a = a; }

extern "C" void threadstestBack(uint64_t arg);
void plain_back(uint64_t arg) { threadstestBack(arg); }

uint64_t placed_code(void) { return reinterpret_cast<uint64_t>(code()); }

static void step(slot *s) {
	std::atomic_thread_fence(std::memory_order_seq_cst);
	s->counter = s->counter + 1;
	std::atomic_thread_fence(std::memory_order_seq_cst);
}

// An even number is spent, an odd one slept.
static void spend(int n) {
	timespec t = {0, 8L * n};
	if (n % 2)
		nanosleep(&t, nullptr);
	else
		for (volatile int i = 0; i < n / 256; i = i + 1) {
		}
}

static NOINLINE void plant(slot *s, int time) {
	volatile uint64_t kept[4] __attribute__((unused)) = {};
	step(s);
	kept[2] = ~s->masked;
	step(s);
	spend(time);
	step(s);
	kept[2] = 0;
}

void slot_round(slot *s, int time) {
	plant(s, time);
	asm volatile("xorl %%eax, %%eax\n\txorl %%ecx, %%ecx\n\txorl %%edx, %%edx\n\txorl %%esi, %%esi\n\txorl %%edi, %%edi" : : : "rax", "rcx", "rdx", "rsi", "rdi");
	step(s);
}

static std::atomic<int> running;

int slots_running(void) { return running; }

int slot_thread(slot *s, int time, int rounds) {
	struct job {
		slot *s;
		int time, rounds;
	};
	pthread_t t;
	running++;
	int e = pthread_create(
		&t, nullptr,
		[](void *p) -> void * {
			job j = *static_cast<job *>(p);
			delete static_cast<job *>(p);
			for (int i = 0; i < j.rounds; i++) {
				slot_round(j.s, j.time);
				spend(j.time);
			}
			running--;
			return nullptr;
		},
		new job{s, time, rounds});
	if (e)
		running--;
	else
		pthread_detach(t);
	return e;
}

void read_cells(reader *r, int rounds) {
	for (int i = 0; rounds < 0 ? !*r->stop : i < rounds; i++) {
		uint64_t last = 0;
		for (int c = 0; c < r->ncells; c++) {
			uint64_t v = r->cells[(c * 5 + i) % r->ncells];
			if (v < last)
				r->bad = r->bad + 1;
			last = v;
		}
		r->rounds = r->rounds + 1;
	}
}

int reader_thread(reader *r) {
	pthread_t t;
	running++;
	int e = pthread_create(
		&t, nullptr,
		[](void *p) -> void * {
			read_cells(static_cast<reader *>(p), -1);
			running--;
			return nullptr;
		},
		r);
	if (!e)
		pthread_detach(t);
	return e;
}

static NOINLINE void run_body(retire *r, int time) {
	uint64_t body = __atomic_load_n(&r->slot, __ATOMIC_RELAXED);
	// As a return address would, the body's address lies on the stack from here on.
	for (volatile int i = 0; i < time; i = i + 1) {
		asm volatile("" : : "r"(body));
	}
	if (__atomic_load_n(&r->retired, __ATOMIC_RELAXED) >= body)
		__atomic_fetch_add(&r->bad, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&r->rounds, 1, __ATOMIC_RELAXED);
}

void retire_rounds(retire *r, int rounds, int time) {
	for (int i = 0; i < rounds; i++)
		run_body(r, time);
}

int retire_thread(retire *r, volatile int *stop) {
	struct job {
		retire *r;
		volatile int *stop;
	};
	pthread_t t;
	running++;
	int e = pthread_create(
		&t, nullptr,
		[](void *p) -> void * {
			job j = *static_cast<job *>(p);
			delete static_cast<job *>(p);
			while (!*j.stop)
				retire_rounds(j.r, 10, 100);
			running--;
			return nullptr;
		},
		new job{r, stop});
	if (!e)
		pthread_detach(t);
	return e;
}

static void notified(sigval v) {
	actor *a = static_cast<actor *>(v.sival_ptr);
	if (a->stage != 0)
		return; // a later expiry
	act(a);
	a->stage = 3;
}

int timer_start(uint64_t create, actor *a, uint64_t *timer) {
	sigevent e = {};
	e.sigev_notify = SIGEV_THREAD;
	e.sigev_notify_function = notified;
	e.sigev_value.sival_ptr = a;
	timer_t t;
	if (reinterpret_cast<int (*)(clockid_t, sigevent *, timer_t *)>(create)(CLOCK_MONOTONIC, &e, &t))
		return errno;
	*timer = reinterpret_cast<uint64_t>(t);
	itimerspec when = {};
	when.it_value.tv_nsec = 1000000;
	return timer_settime(t, 0, &when, nullptr);
}

int timer_end(uint64_t delete_, uint64_t timer) { return reinterpret_cast<int (*)(timer_t)>(delete_)(reinterpret_cast<timer_t>(timer)); }

int queue_start(uint64_t notify, actor *a) {
	char name[64];
	snprintf(name, sizeof name, "/livejit-threads-%d", (int)getpid());
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, nullptr);
	if (q == (mqd_t)-1)
		return errno;
	mq_unlink(name);
	sigevent e = {};
	e.sigev_notify = SIGEV_THREAD;
	e.sigev_notify_function = notified;
	e.sigev_value.sival_ptr = a;
	if (reinterpret_cast<int (*)(mqd_t, const sigevent *)>(notify)(q, &e) || mq_send(q, "", 1, 0))
		return errno;
	a->pipe[0] = q;
	return 0;
}

int aio_start(uint64_t read, actor *a) {
	static aiocb cb;
	static char c;
	must(pipe2(a->pipe, O_CLOEXEC));
	must(write(a->pipe[1], "", 1) != 1);
	cb.aio_fildes = a->pipe[0];
	cb.aio_buf = &c;
	cb.aio_nbytes = 1;
	cb.aio_sigevent.sigev_notify = SIGEV_THREAD;
	cb.aio_sigevent.sigev_notify_function = notified;
	cb.aio_sigevent.sigev_value.sival_ptr = a;
	return reinterpret_cast<int (*)(aiocb *)>(read)(&cb);
}

int fork_count(uint64_t count) {
	pid_t child = fork();
	if (child == 0)
		_exit(reinterpret_cast<int (*)()>(count)());
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int sigset_has(uint64_t fill, int sig) {
	sigset_t s;
	must(reinterpret_cast<int (*)(sigset_t *)>(fill)(&s));
	return sigismember(&s, sig) == 1;
}

int context_run(uint64_t make) {
	static ucontext_t back, there;
	static char stack[65536];
	static volatile uint64_t sum;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof stack;
	there.uc_link = &back;
	void (*add)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) =
		[](uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) { sum = a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8; };
	typedef void make_fn(ucontext_t *, void (*)(), int, ...);
	reinterpret_cast<make_fn *>(make)(&there, reinterpret_cast<void (*)()>(add), 8, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L);
	swapcontext(&back, &there);
	return (int)sum;
}

int clone_run(uint64_t clone_function) {
	static char stack[65536];
	typedef int clone_fn(int (*)(void *), void *, int, void *, ...);
	int *result = new int(0);
	pid_t parent = 0;
	int (*add)(void *) = [](void *p) -> int { return *static_cast<int *>(p) + 42; };
	pid_t child = reinterpret_cast<clone_fn *>(clone_function)(add, stack + sizeof stack, CLONE_PARENT_SETTID, result, &parent);
	delete result;
	if (parent != child)
		return -1;
	int status;
	while (waitpid(child, &status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void use_signal(int sig) {
	struct sigaction action = {};
	action.sa_handler = nothing;
	action.sa_flags = SA_ONSTACK;
	must(sigaction(sig, &action, nullptr));
}

void raise_here(int sig) { syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig); }
