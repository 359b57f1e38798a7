// C11 threads over POSIX ones, for ThreadSanitizer.
//
// librdkafka makes its threads with thrd_create and locks with mtx_lock, which GCC's TSan does not
// intercept: it crashes in the first thread that it was not told of. The linker prefers these
// definitions to glibc's, whose types have the same layout.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>

// Its reference counts are atomic, but compiled without TSan, which then misses that a last
// reference orders what came before.
const char* __tsan_default_suppressions(void);
const char* __tsan_default_suppressions(void) { return "race:librdkafka.so\n"; }

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "glibc's mtx_t is a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "glibc's cnd_t is a pthread_cond_t");

static int outcome(int error) {
    if (error == ETIMEDOUT) return thrd_timedout;
    if (error == EBUSY) return thrd_busy;
    return error == 0 ? thrd_success : thrd_error;
}

struct Start {
    thrd_start_t function;
    void* argument;
};

static void* run(void* opaque) {
    const struct Start start = *(struct Start*)opaque;
    free(opaque);
    return (void*)(long)start.function(start.argument);
}

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
    struct Start* start = malloc(sizeof *start);
    if (start == NULL) return thrd_nomem;
    *start = (struct Start){function, argument};
    const int error = pthread_create(thread, NULL, run, start);
    if (error != 0) free(start);
    return outcome(error);
}

int thrd_join(thrd_t thread, int* result) {
    void* value = NULL;
    const int error = pthread_join(thread, &value);
    if (result != NULL) *result = (int)(long)value;
    return outcome(error);
}

int thrd_detach(thrd_t thread) { return outcome(pthread_detach(thread)); }

int mtx_init(mtx_t* mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    const int error = pthread_mutex_init((pthread_mutex_t*)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return outcome(error);
}

int mtx_lock(mtx_t* mutex) { return outcome(pthread_mutex_lock((pthread_mutex_t*)mutex)); }

int mtx_trylock(mtx_t* mutex) { return outcome(pthread_mutex_trylock((pthread_mutex_t*)mutex)); }

int mtx_unlock(mtx_t* mutex) { return outcome(pthread_mutex_unlock((pthread_mutex_t*)mutex)); }

void mtx_destroy(mtx_t* mutex) { pthread_mutex_destroy((pthread_mutex_t*)mutex); }

int cnd_init(cnd_t* condition) {
    return outcome(pthread_cond_init((pthread_cond_t*)condition, NULL));
}

int cnd_signal(cnd_t* condition) {
    return outcome(pthread_cond_signal((pthread_cond_t*)condition));
}

int cnd_broadcast(cnd_t* condition) {
    return outcome(pthread_cond_broadcast((pthread_cond_t*)condition));
}

int cnd_wait(cnd_t* condition, mtx_t* mutex) {
    return outcome(pthread_cond_wait((pthread_cond_t*)condition, (pthread_mutex_t*)mutex));
}

int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const struct timespec* until) {
    return outcome(
        pthread_cond_timedwait((pthread_cond_t*)condition, (pthread_mutex_t*)mutex, until));
}

void cnd_destroy(cnd_t* condition) { pthread_cond_destroy((pthread_cond_t*)condition); }
