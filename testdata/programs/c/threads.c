/* POSIX threads: mutex and condition, atomics, thread-specific data with destructors, results, a barrier. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { workers = 8, rounds = 2000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_key_t key;
static int queue[4], queued, head;
static atomic_int destroyed, hits;
static _Atomic long total;
static long guarded;

static void destroy(void *p) {
    atomic_fetch_add(&destroyed, *(int *)p);
    free(p);
}

static void *worker(void *arg) {
    int id = (int)(long)arg, *own = malloc(sizeof *own);
    *own = id;
    pthread_setspecific(key, own);
    for (int i = 0; i < rounds; i++) {
        atomic_fetch_add_explicit(&total, id, memory_order_relaxed);
        pthread_mutex_lock(&lock);
        guarded += i % 3;
        pthread_mutex_unlock(&lock);
        int expected = atomic_load(&hits);
        while (!atomic_compare_exchange_weak(&hits, &expected, expected + 1))
            ;
    }
    pthread_barrier_wait(&barrier);
    return (void *)(long)(*(int *)pthread_getspecific(key) * 100);
}

static void *consumer(void *arg) {
    long sum = 0;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (queued == 0)
            pthread_cond_wait(&filled, &lock);
        int v = queue[head];
        head = (head + 1) % 4;
        queued--;
        pthread_cond_signal(&emptied);
        pthread_mutex_unlock(&lock);
        if (v < 0)
            break;
        sum += v;
    }
    *(long *)arg = sum;
    pthread_exit(arg);
}

static void produce(int v) {
    pthread_mutex_lock(&lock);
    while (queued == 4)
        pthread_cond_wait(&emptied, &lock);
    queue[(head + queued) % 4] = v;
    queued++;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
}

int main(void) {
    pthread_t ids[workers], reader;
    long results = 0, sum = 0;
    void *r;
    pthread_key_create(&key, destroy);
    pthread_barrier_init(&barrier, NULL, workers);
    for (long i = 0; i < workers; i++)
        pthread_create(&ids[i], NULL, worker, (void *)(i + 1));
    for (int i = 0; i < workers; i++) {
        pthread_join(ids[i], &r);
        results += (long)r;
    }
    printf("results %ld total %ld hits %d guarded %ld destroyed %d\n", results, (long)total, (int)hits, guarded, (int)destroyed);
    pthread_create(&reader, NULL, consumer, &sum);
    for (int i = 0; i < 1000; i++)
        produce(i);
    produce(-1);
    pthread_join(reader, &r);
    printf("consumed %ld %d\n", sum, r == &sum);
    pthread_key_delete(key);
    pthread_barrier_destroy(&barrier);
    return 0;
}
