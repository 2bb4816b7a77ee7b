// A module that the hammer adds and closes over and over: with a constructor, a destructor,
// a thread-local variable with a destructor, and exceptions that cross functions of another module which are
// replaced meanwhile. NAME is its only name.
extern "C" {
long relay0(void (*)(long), long);
long hammer_note(long);
long NAME(long);
}

namespace {
struct life {
	long made;
	life() : made(7) { hammer_note(1); }
	~life() { hammer_note(-1); }
};

struct visits {
	long n = 5;
	~visits() { hammer_note(0); } // on the thread that closes the module other calls may follow
};

struct odd {
	long x;
};

life whole;
thread_local visits own;

void only_even(long x) {
	if (x & 1)
		throw odd{x};
}
} // namespace

// Returns x + 3 + 7 in the end, or something else if anything is not as it should be.
long NAME(long x) {
	if (++own.n <= 5)
		return -1;
	try {
		long got = relay0(only_even, x);
		if (x & 1)
			return -2;
		return got > x ? x + 3 + whole.made : -3;
	} catch (const odd &o) {
		return o.x + 3 + whole.made;
	}
}
