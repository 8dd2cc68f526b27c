/*
 * workers: the bounds, the deadline and draining are tried with jobs that stop at a
 * gate, so that every step happens when the test says so; then many jobs of many loops at once.
 */
#include "service_kit/workers.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SCRATCH_SIZE 4096

struct task {
    struct workers_job job; /* first: a job is its task */
    sem_t *started, *gate;  /* NULL: does not stop */
    pthread_t processed_in, done_in;
    bool scratch_was_zero, signals_blocked;
    int done, order;
};

static int done_count; /* also the order; one loop at a time uses it */

static void process(struct workers_job *job, void *scratch) {
    struct task *task = (struct task *)job;
    task->processed_in = pthread_self();
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    task->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT);
    const unsigned char *bytes = scratch;
    task->scratch_was_zero = true;
    for (size_t i = 0; i < SCRATCH_SIZE; i++) {
        task->scratch_was_zero = task->scratch_was_zero && bytes[i] == 0;
    }
    memset(scratch, 0xAA, SCRATCH_SIZE);
    if (task->started != NULL) {
        sem_post(task->started);
        sem_wait(task->gate);
    }
}

static void on_done(struct workers_job *job) {
    struct task *task = (struct task *)job;
    task->done_in = pthread_self();
    task->done++;
    task->order = ++done_count;
}

static struct task *task_create(sem_t *started, sem_t *gate) {
    struct task *task = calloc(1, sizeof *task);
    ck_assert_ptr_nonnull(task);
    task->job.process = process;
    task->job.on_done = on_done;
    task->started = started;
    task->gate = gate;
    return task;
}

static struct loop *loop;
static struct workers *workers;
static sem_t started, gate;

static void setup(void) {
    const struct workers_settings settings = {
        .threads = 1, .queue_max = 3, .scratch_size = SCRATCH_SIZE};
    loop = loop_create();
    workers = workers_create(&settings);
    ck_assert_ptr_nonnull(workers);
    sem_init(&started, 0, 0);
    sem_init(&gate, 0, 0);
    done_count = 0;
}

static void teardown(void) {
    if (workers != NULL) {
        workers_stop(workers);
    }
    loop_destroy(loop);
}

static void run_until_done(int count) {
    while (done_count < count) {
        loop_run_once(loop);
    }
}

START_TEST(a_job_goes_and_comes_back) {
    struct task *first = task_create(NULL, NULL), *second = task_create(NULL, NULL);
    ck_assert(workers_submit(workers, loop, &first->job));
    ck_assert(workers_submit(workers, loop, &second->job));
    ck_assert_int_eq(first->done, 0);
    run_until_done(2);
    ck_assert(first->job.processed && second->job.processed);
    ck_assert_int_eq(first->done, 1);
    ck_assert_int_eq(first->order, 1);
    ck_assert_int_eq(second->order, 2);
    ck_assert(pthread_equal(first->done_in, pthread_self()));
    ck_assert(!pthread_equal(first->processed_in, pthread_self()));
    ck_assert(first->scratch_was_zero && second->scratch_was_zero);
    ck_assert(first->signals_blocked);
    ck_assert(first->job.process == process && first->job.on_done == on_done);
    free(first);
    free(second);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once) {
    struct task *running = task_create(&started, &gate), *waiting[4];
    ck_assert(workers_submit(workers, loop, &running->job));
    sem_wait(&started);
    for (size_t i = 0; i < 4; i++) {
        waiting[i] = task_create(NULL, NULL);
        ck_assert_uint_eq(workers_queued(workers), i < 3 ? i : 3);
        ck_assert(workers_submit(workers, loop, &waiting[i]->job) == (i < 3));
    }
    sem_post(&gate);
    run_until_done(4);
    ck_assert_int_eq(waiting[2]->done, 1);
    ck_assert_int_eq(waiting[3]->done, 0);
    ck_assert(workers_submit(workers, loop, &waiting[3]->job));
    run_until_done(5);
    ck_assert_uint_eq(workers_queued(workers), 0);
    for (size_t i = 0; i < 4; i++) {
        free(waiting[i]);
    }
    free(running);
}
END_TEST

START_TEST(a_late_job_is_not_processed) {
    struct task *running = task_create(&started, &gate);
    struct task *late = task_create(NULL, NULL), *in_time = task_create(NULL, NULL);
    ck_assert(workers_submit(workers, loop, &running->job));
    sem_wait(&started);
    late->job.deadline_us = loop_clock_us() + 1000;
    in_time->job.deadline_us = loop_clock_us() + 60000000;
    ck_assert(workers_submit(workers, loop, &late->job));
    ck_assert(workers_submit(workers, loop, &in_time->job));
    while (loop_clock_us() < late->job.deadline_us) {
    }
    sem_post(&gate);
    run_until_done(3);
    ck_assert_int_eq(late->done, 1);
    ck_assert(!late->job.processed);
    ck_assert(!late->scratch_was_zero); /* process was not called */
    ck_assert(in_time->job.processed && running->job.processed);
    free(running);
    free(late);
    free(in_time);
}
END_TEST

/* Takes 20 ms or more, and everything about it is known in advance. */
static void process_slowly(struct workers_job *job, void *scratch) {
    (void)job;
    (void)scratch;
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
}

START_TEST(a_queue_too_long_for_the_deadline_refuses) {
    for (int i = 1; i <= 8; i++) { /* the pool learns how long a job takes */
        struct task *slow = task_create(NULL, NULL);
        slow->job.process = process_slowly;
        ck_assert(workers_submit(workers, loop, &slow->job));
        run_until_done(i);
        free(slow);
    }
    struct task *running = task_create(&started, &gate), *tasks[4];
    ck_assert(workers_submit(workers, loop, &running->job));
    sem_wait(&started);
    for (size_t i = 0; i < 4; i++) {
        tasks[i] = task_create(NULL, NULL);
        tasks[i]->job.deadline_us = loop_clock_us() + (i == 2 ? 60000000 : 35000);
    }
    /* Nothing waits: let in, whatever the average says. */
    ck_assert(workers_submit(workers, loop, &tasks[0]->job));
    /* One waits: done in 3 x 20 ms at the earliest. */
    ck_assert(!workers_submit(workers, loop, &tasks[1]->job));
    ck_assert(workers_submit(workers, loop, &tasks[2]->job));
    tasks[3]->job.deadline_us = 0; /* has time */
    ck_assert(workers_submit(workers, loop, &tasks[3]->job));
    sem_post(&gate);
    run_until_done(12);
    ck_assert_int_eq(tasks[1]->done, 0);
    ck_assert(tasks[2]->job.processed && tasks[3]->job.processed);
    for (size_t i = 0; i < 4; i++) {
        free(tasks[i]);
    }
    free(running);
}
END_TEST

struct priority_task {
    struct task task; /* first */
    int policy, nice;
    uint64_t slice_ns;
};

/* What sched_getattr(2) tells; its runtime, which kernels before 6.12 leave 0, is the sixth field.
 */
static uint64_t slice_ns(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } told = {.size = sizeof told};
    ck_assert_int_eq(syscall(SYS_sched_getattr, 0, &told, sizeof told, 0), 0);
    return told.runtime;
}

static void note_priority(struct workers_job *job, void *scratch) {
    struct priority_task *own = (struct priority_task *)job;
    own->policy = sched_getscheduler(0);
    own->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    own->slice_ns = slice_ns();
    process(job, scratch);
}

/* Both threads are in a job at the same time, so each has told its own. */
START_TEST(threads_have_the_priority_that_was_asked_for) {
    const struct workers_settings settings = {
        .threads = 2, .queue_max = 2, .scratch_size = SCRATCH_SIZE, .background = 1, .nice = 19};
    const int nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    struct workers *two = workers_create(&settings);
    struct priority_task tasks[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        tasks[i].task.job.process = note_priority;
        tasks[i].task.job.on_done = on_done;
        tasks[i].task.started = &started;
        tasks[i].task.gate = &gate;
        ck_assert(workers_submit(two, loop, &tasks[i].task.job));
    }
    for (size_t i = 0; i < 2; i++) {
        sem_wait(&started);
    }
    for (size_t i = 0; i < 2; i++) {
        sem_post(&gate);
    }
    run_until_done(2);
    const size_t background = tasks[0].policy == SCHED_IDLE ? 0 : 1;
    ck_assert_int_eq(tasks[background].policy, SCHED_IDLE);
    ck_assert_int_eq(tasks[1 - background].policy, SCHED_OTHER);
    ck_assert_int_eq(tasks[1 - background].nice, 19);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(tasks[i].slice_ns == 0 || tasks[i].slice_ns > 10 * slice_ns());
    }
    ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER); /* the loop's thread keeps its own */
    ck_assert_int_eq(getpriority(PRIO_PROCESS, (id_t)gettid()), nice);
    workers_stop(two);
}
END_TEST

/* Late enough that workers_stop is waiting by then, with three jobs in the queue. */
static void *open_gate_later(void *argument) {
    (void)argument;
    const struct timespec pause = {.tv_nsec = 50000000};
    nanosleep(&pause, NULL);
    for (int i = 0; i < 4; i++) {
        sem_post(&gate);
    }
    return NULL;
}

START_TEST(stop_drains) {
    struct task *tasks[4];
    for (size_t i = 0; i < 4; i++) {
        tasks[i] = task_create(&started, &gate);
        ck_assert(workers_submit(workers, loop, &tasks[i]->job));
        if (i == 0) {
            sem_wait(&started);
        }
    }
    pthread_t opener;
    pthread_create(&opener, NULL, open_gate_later, NULL);
    ck_assert_uint_eq(workers_queued(workers), 3);
    workers_stop(workers);
    workers = NULL;
    pthread_join(opener, NULL);
    run_until_done(4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert(tasks[i]->job.processed);
        free(tasks[i]);
    }
}
END_TEST

/* ---- Many at once -------------------------------------------------------------------------- */

#define LOOPS       4
#define ROUND_TASKS 8
#define ROUNDS      500

static struct workers *crowd;
static atomic_int crowd_processed, crowd_refused;

struct crowd_task {
    struct workers_job job;
    struct crowd_loop *owner;
};
struct crowd_loop {
    pthread_t thread;
    int returned;
};

static void crowd_process(struct workers_job *job, void *scratch) {
    (void)job;
    memset(scratch, 1, SCRATCH_SIZE);
    atomic_fetch_add(&crowd_processed, 1);
}

static void crowd_done(struct workers_job *job) {
    struct crowd_task *task = (struct crowd_task *)job;
    ck_assert(pthread_equal(task->owner->thread, pthread_self()));
    task->owner->returned++;
}

static void *crowd_run(void *argument) {
    struct crowd_loop *own = argument;
    own->thread = pthread_self();
    struct loop *own_loop = loop_create();
    struct crowd_task tasks[ROUND_TASKS];
    for (int round = 0; round < ROUNDS; round++) {
        memset(tasks, 0, sizeof tasks);
        int sent = 0;
        for (size_t i = 0; i < ROUND_TASKS; i++) {
            tasks[i].owner = own;
            tasks[i].job.process = crowd_process;
            tasks[i].job.on_done = crowd_done;
            if (workers_submit(crowd, own_loop, &tasks[i].job)) {
                sent++;
            } else {
                atomic_fetch_add(&crowd_refused, 1);
            }
        }
        for (own->returned = 0; own->returned < sent;) {
            loop_run_once(own_loop);
        }
        ck_assert_int_eq(own->returned, sent);
        for (size_t i = 0; i < ROUND_TASKS && sent == ROUND_TASKS; i++) {
            ck_assert(tasks[i].job.processed);
        }
    }
    loop_destroy(own_loop);
    return NULL;
}

START_TEST(many_loops_at_once) {
    const struct workers_settings settings = {
        .threads = 3, .queue_max = 16, .scratch_size = SCRATCH_SIZE, .stack_size = 256 * 1024};
    crowd = workers_create(&settings);
    ck_assert_ptr_nonnull(crowd);
    struct crowd_loop loops[LOOPS] = {0};
    pthread_t threads[LOOPS];
    for (size_t i = 0; i < LOOPS; i++) {
        pthread_create(&threads[i], NULL, crowd_run, &loops[i]);
    }
    for (size_t i = 0; i < LOOPS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(workers_queued(crowd), 0);
    workers_stop(crowd);
    ck_assert_int_eq(atomic_load(&crowd_processed) + atomic_load(&crowd_refused),
                     LOOPS * ROUNDS * ROUND_TASKS);
    ck_assert_int_gt(atomic_load(&crowd_processed), LOOPS * ROUNDS);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("workers");
    TCase *steps = tcase_create("steps"), *many = tcase_create("many");
    tcase_add_checked_fixture(steps, setup, teardown);
    tcase_add_test(steps, a_job_goes_and_comes_back);
    tcase_add_test(steps, a_full_queue_refuses_at_once);
    tcase_add_test(steps, a_late_job_is_not_processed);
    tcase_add_test(steps, a_queue_too_long_for_the_deadline_refuses);
    tcase_add_test(steps, threads_have_the_priority_that_was_asked_for);
    tcase_add_test(steps, stop_drains);
    suite_add_tcase(suite, steps);
    tcase_set_timeout(many, 60);
    tcase_add_test(many, many_loops_at_once);
    suite_add_tcase(suite, many);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
