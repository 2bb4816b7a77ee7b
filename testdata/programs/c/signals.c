/* Signals: raise with a handler, siginfo, a mask that holds one back, leaving a handler by siglongjmp, restoring. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t seen[2], order[8], count;
static sigjmp_buf env;

static void simple(int sig) {
    seen[sig == SIGUSR2]++;
    order[count++ & 7] = sig == SIGUSR2 ? 2 : 1;
}
static void detailed(int sig, siginfo_t *info, void *context) {
    seen[sig == SIGUSR2] += 10 + (info->si_pid == getpid()) + (context != NULL);
}
static void leaves(int sig) { siglongjmp(env, sig == SIGUSR1 ? 5 : 6); }

static void install(int sig, void (*handler)(int)) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler;
    sigaction(sig, &sa, NULL);
}

int main(void) {
    struct sigaction before1, before2, sa;
    sigaction(SIGUSR1, NULL, &before1);
    sigaction(SIGUSR2, NULL, &before2);

    signal(SIGUSR1, simple);
    install(SIGUSR2, simple);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGUSR1);
    printf("simple %d %d\n", (int)seen[0], (int)seen[1]);

    sigset_t block, old, pending;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, &old);
    raise(SIGUSR1);
    raise(SIGUSR2);
    sigpending(&pending);
    printf("held back %d, pending %d\n", (int)seen[0], sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("let through %d, order %d%d%d%d%d\n", (int)seen[0], (int)order[0], (int)order[1], (int)order[2], (int)order[3], (int)order[4]);

    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = detailed;
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    printf("detailed %d\n", (int)seen[0]);

    install(SIGUSR1, leaves);
    install(SIGUSR2, leaves);
    for (int turn = 0; turn < 4; turn++) {
        int value = sigsetjmp(env, 1);
        if (value == 0) {
            raise(turn % 2 ? SIGUSR2 : SIGUSR1);
            printf("not reached\n");
        }
        printf("left handler with %d\n", value);
    }
    signal(SIGUSR1, SIG_IGN);
    printf("ignored %d\n", raise(SIGUSR1));
    sigaction(SIGUSR1, &before1, NULL);
    sigaction(SIGUSR2, &before2, NULL);
    return 0;
}
