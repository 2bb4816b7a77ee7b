#include <algorithm>
#include <cstring>
extern "C" void reverse(char *text) { std::reverse(text, text + strlen(text)); }
