/*
 * Design.  One mutex guards one list; threads take from its head.  That is enough: a job costs
 * milliseconds, the mutex nanoseconds.  A job travels without an allocation: it is embedded in its
 * owner, is a node of the list while it waits, and its own loop_message on the way back, so giving
 * a result back cannot fail.  Threads block every signal: those belong to the loops.
 *
 * Loops must never wait for a thread of low priority.  So a semaphore counts the jobs, not a
 * condition variable, whose signal may wait until threads woken before have run; and nothing wakes
 * a thread while it holds the mutex, as that thread may take the core at once.
 *
 * A first-in-first-out queue whose jobs expire does no useful work under overload: every job is
 * taken shortly before its deadline, and done after it.  So a job is only let in when, by the
 * average of the recent ones, it will be done in time.  An empty queue always lets one in, so that
 * the average is never stuck at what one bad moment made of it.
 *
 *   submitted -take-> processing -give_back-> returned
 *   submitted -take (deadline passed)-> returned, not processed
 */
#include "service_kit/workers.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service_kit/log.h"
#include "service_kit/memory.h"

#define AVERAGE_WEIGHT 4
#define SLICE_NS       100000000 /* the longest that Linux gives */

struct workers {
    struct workers_settings settings;
    sem_t wake;            /* one for each job that waits; at the end one for each thread */
    pthread_mutex_t mutex; /* guards all below */
    struct workers_job *first, **last;
    size_t queued, background_count;
    int64_t average_us; /* of processing a job, recent ones counting more */
    bool stopping;
    pthread_t *threads; /* started; written before anybody else reads it */
    size_t thread_count;
};

static void on_message(struct loop_message *message) {
    struct workers_job *job =
        (struct workers_job *)(void *)((char *)message - offsetof(struct workers_job, message));
    job->on_done(job);
}

static void give_back(struct workers_job *job, bool processed) {
    job->processed = processed;
    job->message.on_message = on_message;
    loop_post(job->loop, &job->message);
}

/* Waits for a job; NULL: stopping, and nothing is left. */
static struct workers_job *take(struct workers *workers) {
    while (sem_wait(&workers->wake) != 0) {
        assert(errno == EINTR); /* a debugger */
    }
    pthread_mutex_lock(&workers->mutex);
    struct workers_job *job = workers->first;
    assert(job != NULL || workers->stopping);
    if (job != NULL) {
        workers->first = job->next;
        if (workers->first == NULL) {
            workers->last = &workers->first;
        }
        assert(workers->queued > 0);
        workers->queued--;
    }
    pthread_mutex_unlock(&workers->mutex);
    return job;
}

static void note_duration(struct workers *workers, int64_t duration_us) {
    pthread_mutex_lock(&workers->mutex);
    workers->average_us += (duration_us - workers->average_us) / AVERAGE_WEIGHT;
    pthread_mutex_unlock(&workers->mutex);
}

/* What sched_setattr(2) takes.  glibc has it from 2.41 on; the kernel's own header contradicts
 * <sched.h>. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/*
 * Of this thread alone, on Linux.  A long slice matters as much as the priority: a thread that
 * wakes takes the core at once from one with a longer slice, even one of another session, where it
 * would wait for the next tick otherwise (kernels before 6.12 ignore it).  It can only be given
 * under the usual policy, and is kept under SCHED_IDLE.  Where it is forbidden (a sandbox) the
 * rest is done without it.  What is not possible is told of, and served all the same.
 */
static void lower_priority(struct workers *workers) {
    pthread_mutex_lock(&workers->mutex);
    bool background = workers->background_count < workers->settings.background;
    workers->background_count += background ? 1 : 0;
    pthread_mutex_unlock(&workers->mutex);
    const int now = getpriority(PRIO_PROCESS, (id_t)gettid());
    const int nice = workers->settings.nice;
    const struct sched_param none = {.sched_priority = 0};
    const struct scheduling scheduling = {.size = sizeof scheduling,
                                          .policy = SCHED_OTHER,
                                          .nice = now > nice ? now : nice,
                                          .runtime = SLICE_NS};
    int refused = 0;
    if (syscall(SYS_sched_setattr, 0, &scheduling, 0) != 0) {
        refused = errno;
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), scheduling.nice);
    }
    if (background && sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
        refused = errno;
    }
    if (refused != 0) {
        log_message(LOG_WARN, "workers_priority_not_lowered", "reason", strerrordesc_np(refused));
    }
}

static void *run_thread(void *argument) {
    struct workers *workers = argument;
    const size_t scratch_size = workers->settings.scratch_size;
    lower_priority(workers);
    void *scratch = memory_allocate(1, scratch_size);
    for (struct workers_job *job = take(workers); job != NULL; job = take(workers)) {
        bool in_time = job->deadline_us == 0 || loop_clock_us() < job->deadline_us;
        if (in_time) {
            int64_t begun_us = loop_clock_us();
            job->process(job, scratch);
            explicit_bzero(scratch, scratch_size);
            note_duration(workers, loop_clock_us() - begun_us);
        }
        give_back(job, in_time);
    }
    free(scratch);
    return NULL;
}

static bool start_threads(struct workers *workers) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    bool good = workers->settings.stack_size == 0 ||
                pthread_attr_setstacksize(&attributes, workers->settings.stack_size) == 0;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (good && workers->thread_count < workers->settings.threads) {
        good = pthread_create(&workers->threads[workers->thread_count], &attributes, run_thread,
                              workers) == 0;
        workers->thread_count += good ? 1 : 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return good;
}

struct workers *workers_create(const struct workers_settings *settings) {
    assert(settings->threads > 0 && settings->queue_max > 0);
    struct workers *workers = memory_allocate(1, sizeof *workers);
    workers->settings = *settings;
    workers->average_us = settings->job_us;
    workers->last = &workers->first;
    workers->threads = memory_allocate(settings->threads, sizeof *workers->threads);
    pthread_mutex_init(&workers->mutex, NULL);
    sem_init(&workers->wake, 0, 0);
    if (!start_threads(workers)) {
        workers_stop(workers);
        return NULL;
    }
    return workers;
}

/* Those that wait go first, one round of all threads after the other; then the job itself, and what
 * the threads are busy with now. */
static bool would_be_late(const struct workers *workers, int64_t deadline_us) {
    if (deadline_us == 0 || workers->queued == 0) {
        return false;
    }
    int64_t rounds = (int64_t)(workers->queued / workers->settings.threads) + 2;
    return loop_clock_us() + rounds * workers->average_us > deadline_us;
}

/* With the mutex held. */
static bool has_room(const struct workers *workers, int64_t deadline_us) {
    return workers->queued < workers->settings.queue_max && !workers->stopping &&
           !would_be_late(workers, deadline_us);
}

bool workers_has_room(struct workers *workers, int64_t deadline_us) {
    pthread_mutex_lock(&workers->mutex);
    bool room = has_room(workers, deadline_us);
    pthread_mutex_unlock(&workers->mutex);
    return room;
}

bool workers_submit(struct workers *workers, struct loop *loop, struct workers_job *job) {
    assert(job->process != NULL && job->on_done != NULL);
    job->loop = loop;
    job->next = NULL;
    job->processed = false;
    pthread_mutex_lock(&workers->mutex);
    bool room = has_room(workers, job->deadline_us);
    if (room) {
        *workers->last = job;
        workers->last = &job->next;
        workers->queued++;
    }
    pthread_mutex_unlock(&workers->mutex);
    if (room) { /* the pool is there: workers_stop does not return before this job was taken */
        sem_post(&workers->wake);
    }
    return room;
}

size_t workers_queued(struct workers *workers) {
    pthread_mutex_lock(&workers->mutex);
    size_t queued = workers->queued;
    pthread_mutex_unlock(&workers->mutex);
    return queued;
}

void workers_stop(struct workers *workers) {
    pthread_mutex_lock(&workers->mutex);
    workers->stopping = true;
    pthread_mutex_unlock(&workers->mutex);
    for (size_t i = 0; i < workers->thread_count; i++) {
        sem_post(&workers->wake);
    }
    for (size_t i = 0; i < workers->thread_count; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    assert(workers->first == NULL && workers->queued == 0);
    sem_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->mutex);
    free(workers->threads);
    free(workers);
}
