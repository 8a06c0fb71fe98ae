/* A plugin of QEMU: turns of virtual time, and a log of stores.
 *
 * In: a control page that the engine writes while the machine stands still. Out: a machine that stops at a moment of
 * virtual time, cores that share each quantum fairly, and a line in QEMU's log for each store to a watched address, in
 * order with what QEMU itself logs. Loads what QEMU exports to its own modules and no more (dlsym); says what is missing.
 *
 * QEMU's round-robin gives a core the whole time up to the next timer (accel/tcg/tcg-accel-ops-rr.c of QEMU 7.2), so a core
 * that polls starves the other. A turn ends here at the first block after a quantum of instructions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"

#define CLOCK_VIRTUAL 1
#define RUN_STATE_PAUSED 4
#define TELL_NS 100000

/* qemu-plugin.h, API 1 */
typedef uint64_t plugin_id;
typedef uint32_t meminfo;
struct tb;
struct insn;
typedef void (*udata_cb)(unsigned, void *);
typedef void (*mem_cb)(unsigned, meminfo, uint64_t, void *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct tb *));
extern void qemu_plugin_register_vcpu_init_cb(plugin_id, void (*)(plugin_id, unsigned));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *, udata_cb, int, void *);
extern void qemu_plugin_register_vcpu_mem_cb(struct insn *, mem_cb, int, int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct tb *);
extern struct insn *qemu_plugin_tb_get_insn(const struct tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct insn *);
extern unsigned qemu_plugin_mem_size_shift(meminfo);
extern bool qemu_plugin_mem_is_store(meminfo);
extern void qemu_plugin_outs(const char *);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id, const void *, int, char **);

/* Exported for QEMU's own modules. */
extern __thread void *current_cpu;
static void *(*get_cpu)(int);
static void (*cpu_exit_)(void *);
static void (*cpu_stop_current_)(void);
static void (*leave_block)(void *, uintptr_t);
static void (*vmstop_prepare)(void);
static void (*vmstop_request)(int);
static int64_t (*clock_ns)(int);
static void (*timer_init_)(void *, void *, int, int, int, void (*)(void *), void *);
static void (*timer_mod_)(void *, int64_t);
static void (*timer_del_)(void *);
static void *(*timerlist_new_)(int, void (*)(void *, int), void *);
static void *(*add_state_handler)(void (*)(void *, bool, int), void *);
static int (*memory_debug)(void *, uint64_t, void *, uint64_t, bool);

static const struct {
    const char *name;
    void *pointer;
} imports[] = {
    {"qemu_get_cpu", &get_cpu},
    {"cpu_exit", &cpu_exit_},
    {"cpu_stop_current", &cpu_stop_current_},
    {"cpu_loop_exit_restore", &leave_block},
    {"qemu_system_vmstop_request_prepare", &vmstop_prepare},
    {"qemu_system_vmstop_request", &vmstop_request},
    {"qemu_clock_get_ns", &clock_ns},
    {"timer_init_full", &timer_init_},
    {"timer_mod", &timer_mod_},
    {"timer_del", &timer_del_},
    {"timerlist_new", &timerlist_new_},
    {"qemu_add_vm_change_state_handler", &add_state_handler},
    {"cpu_memory_rw_debug", &memory_debug},
};

static struct control *control;
static const char *dump_path;
static void *cpus[CORES];
static int64_t left[CORES]; /* of the turn */
static uint64_t turn_number;
static int64_t told_ns = -TELL_NS; /* a line in the log, so that what QEMU logs has a time */
static unsigned last_core = CORES, next_core = CORES;
static int64_t stamp_ns, since; /* when this stretch of one core began, and instructions since */
/* Two of QEMUTimer, which is smaller. Cores that were told to stop, or have yet to be told to go on, are taken for asleep,
 * and time jumps to the next timer; the brake is one that has expired, in a list that nobody runs. */
static uint64_t deadline[32], brake[32];
static void *brake_lists[8]; /* a QEMUTimerListGroup */

/* Virtual time when QEMU last looked: with no current core nobody asks how far into a block it is, which is an error. */
static int64_t now_ns(void)
{
    void *core = current_cpu;
    int64_t now;

    current_cpu = NULL;
    now = clock_ns(CLOCK_VIRTUAL);
    current_cpu = core;
    return now;
}

static void at_deadline(void *opaque)
{
    void *core = current_cpu;

    (void)opaque;
    /* Each core is told at once: until the main loop hears of the request, none executes anything more. */
    for (int i = 0; i < CORES; i++) {
        current_cpu = get_cpu(i);
        cpu_stop_current_();
    }
    current_cpu = core;
    timer_mod_(brake, (int64_t)control->until_ns);
    vmstop_prepare();
    vmstop_request(RUN_STATE_PAUSED);
}

static void on_brake(void *opaque)
{
    (void)opaque;
}

static void on_notify(void *opaque, int type)
{
    (void)opaque;
    (void)type;
}

static void copy_memory(void)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < control->copy_count && at + control->copies[i].size <= COPIED; i++) {
        memory_debug(get_cpu(0), control->copies[i].start, control->copied + at, control->copies[i].size, false);
        at += control->copies[i].size;
    }
}

static void on_state(void *opaque, bool running, int state)
{
    (void)opaque;
    (void)state;
    if (running) {
        next_core = last_core;
        timer_mod_(deadline, (int64_t)control->until_ns);
        timer_del_(brake);
    } else {
        control->now_ns = (uint64_t)now_ns();
        timer_mod_(brake, (int64_t)control->now_ns);
        copy_memory();
    }
}

static void on_block(unsigned core, void *instructions)
{
    intptr_t count = (intptr_t)instructions;

    if (core >= CORES) {
        return;
    }
    /* Which core QEMU begins with depends on how often it was woken while it stood still. The one that was interrupted goes
     * on: another is sent back before it has done anything, once, for the first may sleep. */
    if (next_core < CORES) {
        bool is_first = core == next_core;

        next_core = CORES;
        if (!is_first) {
            cpu_exit_(cpus[core]);
            leave_block(cpus[core], (uintptr_t)__builtin_return_address(0));
        }
    }
    /* QEMU looks whenever it likes; a stretch begins where it must: another core, or time that no instruction took. */
    if (core != last_core || now_ns() > stamp_ns + (since << control->shift)) {
        turn_number += core != last_core;
        last_core = core;
        stamp_ns = now_ns();
        since = 0;
        if (stamp_ns >= told_ns + TELL_NS) {
            char line[96];

            told_ns = stamp_ns;
            snprintf(line, sizeof line, "rptwin turn %lld %llu %u\n", (long long)stamp_ns, (unsigned long long)turn_number,
                     core);
            qemu_plugin_outs(line);
        }
    }
    since += count;
    control->executed[core] += (uint64_t)count;
    left[core] -= count;
    if (left[core] <= 0) {
        left[core] = (int64_t)control->turn;
        turn_number++;
        cpu_exit_(cpus[core]);
    }
}

static uint32_t read_word(unsigned core, uint32_t address, unsigned size)
{
    uint32_t value = 0;

    memory_debug(get_cpu((int)core), address, &value, size, false);
    return value;
}

static void on_store(unsigned core, meminfo info, uint64_t address, void *pc)
{
    unsigned size = 1u << qemu_plugin_mem_size_shift(info);
    char line[160];

    if (!qemu_plugin_mem_is_store(info)) {
        return;
    }
    for (uint32_t i = 0; i < control->span_count; i++) {
        if (address < control->spans[i].end && address + size > control->spans[i].start) {
            uint64_t value = 0;

            memory_debug(get_cpu((int)core), address, &value, size, false);
            snprintf(line, sizeof line, "rptwin store %lld %llu %u %x %x %u %llx\n", (long long)(stamp_ns + (since << control->shift)),
                     (unsigned long long)turn_number, core, (unsigned)(uintptr_t)pc, (unsigned)address, size,
                     (unsigned long long)value);
            qemu_plugin_outs(line);
            break;
        }
    }
    for (uint32_t i = 0; i < control->probe_count; i++) {
        if (address < control->probes[i].end && address + size > control->probes[i].start) {
            snprintf(line, sizeof line, "rptwin probe %lld %llu %u %u %x\n", (long long)(stamp_ns + (since << control->shift)),
                     (unsigned long long)turn_number, core, i, read_word(control->probes[i].core, control->probes[i].word, 4));
            qemu_plugin_outs(line);
        }
    }
}

static void on_translation(plugin_id id, struct tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, 0, (void *)(intptr_t)count);
    for (size_t i = 0; i < count; i++) {
        struct insn *instruction = qemu_plugin_tb_get_insn(block, i);

        qemu_plugin_register_vcpu_mem_cb(instruction, on_store, 0, 2 /* stores */,
                                         (void *)(uintptr_t)qemu_plugin_insn_vaddr(instruction));
    }
}

static void on_core(plugin_id id, unsigned core)
{
    (void)id;
    if (core >= CORES) {
        return;
    }
    cpus[core] = get_cpu((int)core);
    left[core] = (int64_t)control->turn;
    if (core == 0) {
        brake_lists[CLOCK_VIRTUAL] = timerlist_new_(CLOCK_VIRTUAL, on_notify, NULL);
        timer_init_(brake, brake_lists, CLOCK_VIRTUAL, 1, 0, on_brake, NULL);
        timer_mod_(brake, 0);
        timer_init_(deadline, NULL, CLOCK_VIRTUAL, 1, 0, at_deadline, NULL); /* NULL: the main loop's */
        add_state_handler(on_state, NULL);
    }
}

/* QEMU ends itself when a core locks up: memory is kept for whoever asks what led to it. */
static void on_abort(int number)
{
    int file = open(dump_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    static uint8_t page[4096];

    signal(number, SIG_DFL);
    control->now_ns = (uint64_t)now_ns();
    for (uint32_t i = 0; i < control->dump_count; i++) {
        for (uint32_t at = 0; at < control->dumps[i].size; at += sizeof page) {
            memset(page, 0, sizeof page);
            memory_debug(get_cpu(0), control->dumps[i].start + at, page, sizeof page, false);
            if (write(file, page, sizeof page) != (ssize_t)sizeof page) {
                return;
            }
        }
    }
    close(file);
}

/* The other end is the engine's: when it is gone, whatever the reason, so is QEMU. */
static void *watch_parent(void *opaque)
{
    int file = (int)(intptr_t)opaque;
    char byte;

    while (read(file, &byte, 1) > 0) {
    }
    kill(getpid(), SIGKILL);
    return NULL;
}

int qemu_plugin_install(plugin_id id, const void *information, int count, char **arguments)
{
    pthread_t thread;
    int file = -1, parent = -1;

    (void)information;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "control=", 8) == 0) {
            file = open(arguments[i] + 8, O_RDWR);
        } else if (strncmp(arguments[i], "dump=", 5) == 0) {
            dump_path = strdup(arguments[i] + 5);
        } else if (strncmp(arguments[i], "parent=", 7) == 0) {
            parent = atoi(arguments[i] + 7);
        }
    }
    for (size_t i = 0; i < sizeof imports / sizeof *imports; i++) {
        void *found = dlsym(RTLD_DEFAULT, imports[i].name);

        if (found == NULL) {
            fprintf(stderr, "rptwin: this QEMU exports no %s\n", imports[i].name);
            return -1;
        }
        memcpy(imports[i].pointer, &found, sizeof found);
    }
    control = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (control == MAP_FAILED || dump_path == NULL || parent < 0 ||
        pthread_create(&thread, NULL, watch_parent, (void *)(intptr_t)parent) != 0) {
        fprintf(stderr, "rptwin: the plugin lacks control=, dump= or parent=\n");
        return -1;
    }
    close(file);
    signal(SIGABRT, on_abort);
    qemu_plugin_register_vcpu_init_cb(id, on_core);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
