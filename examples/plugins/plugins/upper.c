#include <ctype.h>
void upper(char *text) {
	for (; *text; text++) *text = toupper(*text);
}
