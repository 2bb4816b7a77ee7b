// service.c: a TCP service. Each connection has a thread, which answers each line with what
// handle makes of it.
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// handle is what changes while the service is under load.
int handle(const char *request, char *reply, size_t size) {
	return snprintf(reply, size, "1 %s 1\n", request);
}

static void *serve(void *arg) {
	FILE *in = fdopen((int)(long)arg, "r");
	char request[256], reply[300];
	while (in && fgets(request, sizeof request, in)) {
		request[strcspn(request, "\n")] = 0;
		int n = handle(request, reply, sizeof reply);
		if (write(fileno(in), reply, n) != n) break;
	}
	if (in) fclose(in);
	return 0;
}

// run accepts connections until the listening socket is shut down, and returns how many there were.
int run(int listener) {
	static pthread_t threads[64];
	int n = 0;
	for (int fd; n < 64 && (fd = accept(listener, 0, 0)) >= 0; n++)
		if (pthread_create(&threads[n], 0, serve, (void *)(long)fd)) break;
	for (int i = 0; i < n; i++) pthread_join(threads[i], 0);
	return n;
}
