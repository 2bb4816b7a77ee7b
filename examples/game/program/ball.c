// ball.c: a ball in a box. Save changes to this file while the game runs: the ball stays where it is.
#include <string.h>

static double x = 3, y = 2, dx = 1.4, dy = 0.6;

static char ball(void) { return 'o'; }
static double gravity(void) { return 0.08; }

static void move(int width, int height) {
	dy += gravity();
	x += dx;
	y += dy;
	if (x < 1 || x > width - 2) { dx = -dx; x += 2 * dx; }
	if (y > height - 2) { dy = -dy * 0.95; y = height - 2; }
	if (y < 1) { dy = -dy; y = 1; }
}

// frame makes the next picture: height lines of width characters.
void frame(char *picture, int width, int height) {
	move(width, height);
	memset(picture, ' ', width * height);
	for (int i = 0; i < width; i++) picture[i] = picture[(height - 1) * width + i] = '-';
	for (int i = 0; i < height; i++) picture[i * width] = picture[i * width + width - 1] = '|';
	picture[(int)y * width + (int)x] = ball();
}
