// A program whose main loop does not return by itself.
void show(long tick, long value); // Go functions
void rest(void);

static long value = 1;

long step(long v) { return v + 1; }

int running(long tick) { return tick > 0; }

long run(void) {
	for (long tick = 1; running(tick); tick++) {
		value = step(value);
		show(tick, value);
		rest();
	}
	return value;
}
