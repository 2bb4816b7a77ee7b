// Native code for crt's tests.
#include "subjects.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static thread_local int host_static = 77;

extern "C" {

int64_t tls_threads(get_addr_fn get, uint64_t module, const unsigned char *image, int64_t image_size, int64_t size, int64_t align, int64_t threads, int64_t rounds) {
	std::atomic<int64_t> bad{0};
	std::vector<std::thread> all;
	for (int64_t t = 0; t < threads; t++)
		all.emplace_back([=, &bad] {
			tls_index start{module, 0};
			unsigned char *p = static_cast<unsigned char *>(get(&start));
			bad += reinterpret_cast<uintptr_t>(p) % align != 0;
			bad += memcmp(p, image, image_size) != 0;
			for (int64_t i = image_size; i < size; i++)
				bad += p[i] != 0;
			for (int64_t r = 0; r < rounds; r++) {
				for (int64_t i = 0; i < size; i++) {
					tls_index at{module, static_cast<uint64_t>(i)};
					*static_cast<unsigned char *>(get(&at)) = static_cast<unsigned char>(t + i + r);
				}
				for (int64_t i = 0; i < size; i++)
					bad += p[i] != static_cast<unsigned char>(t + i + r);
			}
		});
	for (auto &t : all)
		t.join();
	return bad;
}

namespace {
struct ExitProbe {
	get_addr_fn get;
	uint64_t module;
	std::atomic<int64_t> *seen;
	bool armed = false;
	~ExitProbe() {
		if (!armed)
			return;
		tls_index at{module, 0};
		*seen += *static_cast<uint64_t *>(get(&at)) == 4242;
	}
};
thread_local ExitProbe probe;
struct KeyProbe {
	pthread_key_t key;
	int rounds;
	ExitProbe p;
};
void key_destructor(void *p) {
	KeyProbe *k = static_cast<KeyProbe *>(p);
	tls_index at{k->p.module, 0};
	*k->p.seen += *static_cast<uint64_t *>(k->p.get(&at)) == 4242;
	if (++k->rounds < 3)
		pthread_setspecific(k->key, k);
}
} // namespace

int64_t tls_at_thread_exit(get_addr_fn get, uint64_t module) {
	std::atomic<int64_t> seen{0};
	KeyProbe keys[2] = {};
	for (auto &k : keys) {
		k.p = ExitProbe{get, module, &seen};
		pthread_key_create(&k.key, key_destructor);
	}
	std::thread([&] {
		for (auto &k : keys)
			pthread_setspecific(k.key, &k);
		probe = ExitProbe{get, module, &seen, true};
		tls_index at{module, 0};
		*static_cast<uint64_t *>(get(&at)) = 4242;
	}).join();
	for (auto &k : keys)
		pthread_key_delete(k.key);
	return seen; // 1 + 2 keys with 3 rounds
}

int64_t tls_read(get_addr_fn get, tls_index *index, int misaligned) {
	if (!misaligned)
		return *static_cast<int64_t *>(get(index));
	int64_t *p;
	asm volatile("mov %%rsp,%%rbx\n\tand $-16,%%rsp\n\tsub $8,%%rsp\n\tcall *%2\n\tmov %%rbx,%%rsp"
	             : "=a"(p) : "D"(index), "r"(get) : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	return *p;
}

namespace {
struct Holders {
	std::atomic<int> ready{0};
	std::atomic<bool> go{false};
	std::vector<std::thread> threads;
};
} // namespace

void *tls_holders_start(get_addr_fn get, uint64_t module, int64_t n) {
	Holders *h = new Holders;
	for (int64_t i = 0; i < n; i++)
		h->threads.emplace_back([=] {
			tls_index at{module, 0};
			get(&at);
			h->ready++;
			while (!h->go)
				std::this_thread::yield();
		});
	while (h->ready < n)
		std::this_thread::yield();
	return h;
}
void tls_holders_end(void *p) {
	Holders *h = static_cast<Holders *>(p);
	h->go = true;
	for (auto &t : h->threads)
		t.join();
	delete h;
}

namespace {
struct State {
	uint64_t gpr[14];
	unsigned char x87[16];
	uint64_t vectors[16][4];
};
} // namespace
__attribute__((visibility("hidden"))) uint64_t call_descriptor(uint64_t *descriptor, State *before, State *after, uint64_t avx);

int64_t tlsdesc_call(uint64_t *descriptor, uint64_t *result) {
	bool avx = __builtin_cpu_supports("avx");
	State before, after;
	memset(&before, 0, sizeof before);
	for (int i = 0; i < 14; i++)
		before.gpr[i] = 0x0101010101010101ull * (i + 1);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < (avx ? 4 : 2); j++)
			before.vectors[i][j] = 0x1111111111111111ull * i ^ (j + 1);
	long double pi = 3.14159265358979323846L;
	memcpy(before.x87, &pi, 10);
	memset(&after, 0, sizeof after);
	*result = call_descriptor(descriptor, &before, &after, avx) + reinterpret_cast<uint64_t>(__builtin_thread_pointer());
	for (size_t i = 0; i < sizeof before; i++)
		if (reinterpret_cast<char *>(&before)[i] != reinterpret_cast<char *>(&after)[i])
			return static_cast<int64_t>(i) + 1;
	return 0;
}

int64_t tlsdesc_on_new_thread(uint64_t *descriptor, uint64_t *result) {
	int64_t bad = 0;
	std::thread([&] { bad = tlsdesc_call(descriptor, result); }).join();
	return bad;
}

uint64_t host_module(uint64_t *offset, uint64_t *tpoff, uint64_t *address) {
	// The executable is module 1.
	*address = reinterpret_cast<uint64_t>(&host_static);
	*tpoff = *address - reinterpret_cast<uint64_t>(__builtin_thread_pointer());
	*offset = 0;
	tls_index zero{1, 0};
	extern void *__tls_get_addr(tls_index *);
	*offset = *address - reinterpret_cast<uint64_t>(__tls_get_addr(&zero));
	return 1;
}

static char *log_end;
void set_log(char *log) { log_end = log; }
static void put(char c) {
	*log_end++ = c;
	*log_end = 0;
}
void log_arg(void *c) { put(static_cast<char>(reinterpret_cast<uintptr_t>(c))); }
void log_x(void) { put('x'); }
void log_y(void) { put('y'); }
void log_throw(void *c) {
	log_arg(c);
	throw std::runtime_error("in a handler");
}
void log_status(int status, void *c) {
	put(static_cast<char>('0' + status));
	log_arg(c);
}
void log_and_register(void *p) {
	void **w = static_cast<void **>(p);
	put('r');
	reinterpret_cast<cxa_fn>(w[0])(log_arg, reinterpret_cast<void *>('n'), w[1]);
}
void log_prepare(void) { put('p'); }
void log_parent(void) { put('P'); }
void log_child(void) { put('C'); }
void fork_once(void) {
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(log_end[-1] == 'C' ? 3 : 4);
	waitpid(pid, &status, 0);
	put(static_cast<char>('0' + WEXITSTATUS(status)));
}
void puts_arg(void *text) { printf("%s\n", static_cast<char *>(text)); } // buffered: stdout is no terminal in the test
void call_exit(int code) { exit(code); }
void call_quick_exit(int code) { quick_exit(code); }
void exit_in_handler(void *text) {
	puts_arg(text);
	exit(5);
}

void from_thread(int (*cxa_thread)(void (*)(void *), void *, void *), void *c, void *dso) {
	std::thread([=] { cxa_thread(log_arg, c, dso); }).join();
}
namespace {
struct Parked {
	std::atomic<bool> ready{false}, go{false};
	std::thread t;
};
} // namespace
void *parked_thread(int (*cxa_thread)(void (*)(void *), void *, void *), void *c, void *dso) {
	Parked *p = new Parked;
	p->t = std::thread([=] {
		cxa_thread(log_arg, c, dso);
		p->ready = true;
		while (!p->go)
			std::this_thread::yield();
	});
	while (!p->ready)
		std::this_thread::yield();
	return p;
}
void parked_thread_end(void *q) {
	Parked *p = static_cast<Parked *>(q);
	p->go = true;
	p->t.join();
	delete p;
}
}
