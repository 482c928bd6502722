// SPDX-License-Identifier: GPL-2.0-or-later
/* Stop, kill, restore: programs that check themselves go on as if nothing was. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "lib/restore_cycle.h"
#include "proc/stop.h"

static void cycle(char *const *argv, bool private, const char *word)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	cycle_start_and_save(argv, private, word, &s);
	cycle_restore(&s, &r, &result);
	print_message("# %zu tasks, %lu pages, build %lu us, verify %lu us, run %lu us\n",
		      s.image.n_tasks, result.pages, result.build_ns / 1000,
		      result.verify_ns / 1000, result.run_ns / 1000);
	cycle_finish(r, 0);
}

static void test_shell(void **state)
{
	char *argv[] = { "sh", "-c", "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; "
			 "sleep 0.02; done; echo the end", NULL };

	(void)state;
	cycle(argv, true, "line 20\n");
	assert_non_null(strstr(cycle_read_output(), "line 59\nline 60\nthe end"));
}

/* One of everything, for a while nobody. */
static void everything(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	cycle_save_program("kernel_objects", NULL, private, &s);
	cycle_restore(&s, &r, &result);
	assert_int_equal(kill(result.root_pid, SIGTERM), 0);
	cycle_finish(r, 0);
	assert_non_null(strstr(cycle_read_output(), "all well"));
}

static void test_everything(void **state)
{
	(void)state;
	everything(true);
}

static void test_everything_with_host_pids(void **state)
{
	(void)state;
	everything(false);
}

/* Save and restore a running tree again and again at random instants. */
static void disturb(char *const *argv, struct saved *kept, int cycles, struct ckpt_restore **ret)
{
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	int i;

	for (i = 0; i < cycles; i++) {
		struct saved *s = &kept[i];

		if (!i) {
			cycle_start_and_save(argv, true, "step 2\n", s);
		} else {
			usleep(random() % 150000);
			cycle_save_again(r, s);
		}
		cycle_restore(s, &r, &result);
		print_message("# %zu tasks, %lu pages, build %lu us, verify %lu us, run %lu us\n",
			      s->image.n_tasks, result.pages, result.build_ns / 1000,
			      result.verify_ns / 1000, result.run_ns / 1000);
	}
	*ret = r;
}

/* The last line of the output: what the program computed. */
static void last_line(char ret[128])
{
	char *text = cycle_read_output(), *end = text + strlen(text), *line;

	while (end > text && end[-1] == '\n')
		*--end = 0;
	line = strrchr(text, '\n');
	snprintf(ret, 128, "%s", line ? line + 1 : text);
}

static void undisturbed(char *const *argv, char ret[128])
{
	struct ckpt_init_params p = cycle_init_params(argv, true);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	cycle_check(ckpt_init_spawn(&p, &init, &err) || ckpt_init_wait(&init, &status, &err), &err);
	assert_int_equal(status, 0);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	cycle_close_stdio(p.stdio);
	cycle_wait_empty();
	last_line(ret);
}

static void compare(char *const *argv, int cycles)
{
	struct saved *kept = calloc(cycles, sizeof(*kept));
	struct ckpt_restore *r = NULL;
	char wanted[128], got[128];
	int i;

	undisturbed(argv, wanted);
	cycle_seed(1);
	disturb(argv, kept, cycles, &r);
	cycle_finish(r, 0);
	for (i = 0; i < cycles; i++)
		cycle_saved_done(&kept[i]);
	free(kept);
	last_line(got);
	assert_string_equal(got, wanted);
}

static const char python_program[] =
	"import hashlib, os, subprocess, sys, threading\n"
	"h = hashlib.sha256()\n"
	"data = {i: os.urandom(1) and str(i) * 50 for i in range(20000)}\n"
	"stop = threading.Event()\n"
	"threads = [threading.Thread(target=stop.wait) for i in range(3)]\n"
	"for t in threads: t.start()\n"
	"for i in range(25):\n"
	"    open('t.c', 'w').write('#include <stdio.h>\\n'\n"
	"        'int main(void) { return printf(\"%d\", %d) != 1; }' % (i, i))\n"
	"    p = subprocess.run(['gcc', '-O1', '-o', 't', 't.c'], capture_output=True)\n"
	"    h.update(repr(p).encode())\n"
	"    p = subprocess.Popen(['sh', '-c', './t; cat; sleep 0.02'],\n"
	"                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
	"    out, none = p.communicate(data[i].encode())\n"
	"    h.update(out)\n"
	"    data[i + 30000] = h.hexdigest()\n"
	"    print('step', i, flush=True)\n"
	"stop.set()\n"
	"for t in threads: t.join()\n"
	"for k in sorted(data): h.update(data[k].encode())\n"
	"print(h.hexdigest())\n";

static void test_python_and_gcc(void **state)
{
	char *argv[] = { "/usr/bin/python3", "-c", (char *)python_program, NULL };

	(void)state;
	compare(argv, 6);
}

static const char unnamed_program[] =
	"import fcntl, os, tempfile, time\n"
	"big = bytes(range(256)) * 50\n"
	"low = os.open('/dev/null', os.O_RDONLY)\n"
	"t = tempfile.TemporaryFile(dir='.')\n"
	"assert fcntl.fcntl(t, fcntl.F_GETFL) & os.O_TMPFILE == os.O_TMPFILE\n"
	"t.write(big); t.flush(); t.seek(1234)\n"
	"other = open('/proc/self/fd/%d' % t.fileno(), 'rb', buffering=0)\n"
	"os.dup2(other.fileno(), low)\n"	/* before its maker in the image */
	"os.lseek(low, 77, 0)\n"
	"app = os.open('.', os.O_TMPFILE | os.O_WRONLY | os.O_APPEND, 0o640)\n"
	"os.ftruncate(app, 100000); os.write(app, b'end')\n"
	"os.fchown(app, 123, 456)\n"
	"gone = os.open('gone', os.O_RDWR | os.O_CREAT); os.unlink('gone')\n"
	"os.fchown(gone, 77, 88); os.fchmod(gone, 0o4711)\n"
	"owners = lambda: [(os.fstat(f).st_uid, os.fstat(f).st_gid, os.fstat(f).st_mode)\n"
	"                  for f in (app, gone, t.fileno())]\n"
	"before = owners()\n"
	"print('ready', flush=True)\n"
	"while not os.path.exists('go'): time.sleep(0.02)\n"
	"assert t.read() == big[1234:]\n"
	"t.write(b'more'); t.flush()\n"
	"assert os.read(low, 100000) == (big + b'more')[77:]\n"
	"assert fcntl.fcntl(t, fcntl.F_GETFL) & os.O_TMPFILE == os.O_TMPFILE\n"
	"assert os.fstat(t.fileno()).st_nlink == 0\n"
	"assert owners() == before and before[0][:2] == (123, 456), owners()\n"
	"os.write(app, b'!')\n"
	"assert os.fstat(app).st_mode & 0o777 == 0o640\n"
	"r = open('/proc/self/fd/%d' % app, 'rb').read()\n"
	"assert r == bytes(100000) + b'end!', len(r)\n"
	"print('all well')\n";

/* Files that never had a name, as tempfile makes them. */
static void test_unnamed_files(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)unnamed_program, NULL };

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	cycle_go_on(&s);
}

/* SA_ONSTACK without a stack, as Python does it: that of the restoring process is none of its. */
static void test_handler_without_stack(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c",
			 "import os, signal, sys\n"
			 "signal.signal(signal.SIGTERM, lambda sig, frame: os._exit(7))\n"
			 "print('ready', flush=True)\n"
			 "while True: signal.pause()\n", NULL };
	static char stack[1 << 16];
	const stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	stack_t was;

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	assert_int_equal(sigaltstack(&own, &was), 0);
	cycle_restore(&s, &r, &result);
	assert_int_equal(sigaltstack(&was, NULL), 0);
	assert_int_equal(kill(result.root_pid, SIGTERM), 0);
	cycle_finish(r, 7);
}

static const char thread_program[] =
	"import ctypes, os, threading, time\n"
	"libc = ctypes.CDLL(None)\n"
	"def signal_of_death():\n"
	"    sig = ctypes.c_int(); libc.prctl(2, ctypes.byref(sig)); return sig.value\n"
	"def thread():\n"
	"    libc.prctl(1, 12); ready.set(); go.wait(); found.append(signal_of_death())\n"
	"ready = threading.Event(); go = threading.Event(); found = []\n"
	"t = threading.Thread(target=thread); t.start(); ready.wait()\n"
	"print('ready', flush=True)\n"
	"while not os.path.exists('go'): time.sleep(0.02)\n"
	"go.set(); t.join(); found.append(signal_of_death())\n"
	"assert found == [12, 0], found\n"
	"print('all well')\n";

/* Each thread has its own signal for the death of its parent. */
static void test_parent_death(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "/usr/bin/python3", "-c", (char *)thread_program, NULL };

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	cycle_go_on(&s);
}

/* What only tools show. */
static void test_attributes(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "sh", "-c", "show() { ionice -p $$; cat /proc/$$/coredump_filter; "
			 "taskset -p $$; chrt -p $$; nice; }\n"
			 "echo 0x55 >/proc/$$/coredump_filter; ionice -c 2 -n 3 -p $$\n"
			 "taskset -p 1 $$ >/dev/null; chrt -b -p 0 $$ || exit 1\n"
			 "renice -n 3 -p $$ >/dev/null\n"
			 "before=$(show); echo \"$before\"; echo ready\n"
			 "while [ ! -e go ]; do sleep 0.02; done\n"
			 "[ \"$(show)\" = \"$before\" ] && echo all well", NULL };

	(void)state;
	cycle_start_and_save(argv, true, "ready", &s);
	assert_non_null(strstr(cycle_read_output(), "best-effort: prio 3\n00000055\n"));
	assert_non_null(strstr(cycle_read_output(), "affinity mask: 1\n"));
	assert_non_null(strstr(cycle_read_output(), "policy: SCHED_BATCH\n"));
	assert_non_null(strstr(cycle_read_output(), "priority: 0\n3\n"));
	cycle_go_on(&s);
}

/* Each obstacle is found before anything is built. */
static void refuse(struct saved *s, const char *word)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	if (!ckpt_restore_build(&params, &r, &err)) {
		ckpt_restore_close(r);
		fail_msg("nobody refuses for %s", word);
	}
	assert_null(r);
	if (err.status != CKPT_REFUSED || !strstr(err.text, word))
		fail_msg("expected a refusal for %s: %s", word, err.text);
}

/* A child of the only task that makes it impossible. */
static void refuse_child(struct saved *s, struct ckpt_task child, const char *word)
{
	struct ckpt_task two[2] = { s->image.tasks[0], child }, *was = s->image.tasks;

	two[1].ppid = two[0].pid;
	two[1].pid = two[0].pid + 1;
	s->image.tasks = two;
	s->image.n_tasks = 2;
	refuse(s, word);
	s->image.tasks = was;
	s->image.n_tasks = 1;
}

static void refuse_ids(struct saved *s)
{
	struct ckpt_task *task = &s->image.tasks[0];
	struct ckpt_task zombie = { .state = CKPT_TASK_ZOMBIE, .exit_signal = SIGCHLD };
	int32_t pid = task->pid;
	size_t n = s->image.n_tasks;

	s->image.n_tasks = 1;	/* without the sleep that it may wait for */
	zombie.pgid = task->pgid;
	zombie.sid = task->sid;
	zombie.exit_code = 0x80 | SIGSEGV;
	refuse_child(s, zombie, "has dumped core");
	zombie.exit_code = 0;
	task->pgid = pid + 1;
	zombie.pgid = pid;
	refuse_child(s, zombie, "founder has left");
	task->pgid = pid;
	task->pid = task->threads[0].tid = 5000000;
	refuse(s, "kernel.pid_max");
	task->pid = task->threads[0].tid = pid;
	s->image.n_tasks = n;
}

/* What this machine cannot do, found before anything is made. */
static void refuse_machine(struct saved *s)
{
	struct ckpt_task *task = &s->image.tasks[0];
	struct ckpt_mm *mm = &s->image.mms[task->mm];
	struct ckpt_rlimit limit = task->limits[RLIMIT_NOFILE];
	uint32_t size = task->threads[0].rseq_size;

	task->limits[RLIMIT_NOFILE] = (struct ckpt_rlimit){ 1024, 1ull << 31 };
	refuse(s, "fs.nr_open");
	task->limits[RLIMIT_NOFILE] = limit;
	mm->membarrier |= 1u << 30;
	refuse(s, "memory barriers");
	mm->membarrier &= ~(1u << 30);
	if (task->threads[0].rseq_ptr) {
		task->threads[0].rseq_size = 512;
		refuse(s, "rseq area");
		task->threads[0].rseq_size = size;
	}
	task->threads[0].creds.cap_prm |= 1ull << 63;
	refuse(s, "has capabilities");
	task->threads[0].creds.cap_prm &= ~(1ull << 63);
}

static void test_refusals(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char *argv[] = { "sh", "-c", "echo here; while :; do sleep 0.05; done", NULL };
	struct ckpt_task *task;
	struct ckpt_file *exe;
	uint64_t bit = 1ull << 62;
	int32_t was;

	(void)state;
	cycle_start_and_save(argv, true, "here", &s);
	task = &s.image.tasks[0];
	exe = &s.image.files[s.image.mms[task->mm].exe];
	was = s.image.vdso_len;
	s.image.vdso_len = 0;
	s.image.vdso_hash[0] ^= 1;
	refuse(&s, "vdso");
	s.image.vdso_hash[0] ^= 1;
	s.image.vdso_len = was;
	exe->mtime_ns++;
	refuse(&s, "has changed since");
	exe->mtime_ns--;
	memcpy(task->threads[0].xstate + 512, &bit, sizeof(bit));
	refuse(&s, "CPU features");
	memset(task->threads[0].xstate + 512, 0, sizeof(bit));
	bit = 1ull << 18;
	memcpy(task->threads[0].xstate + 512, &bit, sizeof(bit));
	refuse(&s, "AMX tiles");
	memset(task->threads[0].xstate + 512, 0, sizeof(bit));
	was = task->sid;
	task->sid = 0;
	refuse(&s, "setsid");
	task->sid = was;
	refuse_ids(&s);
	refuse_machine(&s);
	task->dumpable = 2;
	refuse(&s, "dumpable");
	task->dumpable = 1;
	assert_int_equal(ckpt_cgroup_enter(cycle_cgroup, 0, NULL), 0);
	refuse(&s, "processes live in");
	assert_int_equal(ckpt_cgroup_enter("/", 0, NULL), 0);
}

/* Where it is below the group's cgroup would be lost: refused, and it runs on. */
static void test_sub_cgroup(void **state)
{
	const struct ckpt_stop_params params = { .cgroup = cycle_cgroup_dir, .hold_ms = 60000 };
	char *argv[] = { "sh", "-c", "echo here; exec sleep 1000", NULL };
	struct ckpt_init_params p = cycle_init_params(argv, true);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;
	char below[96];
	int failed;

	(void)state;
	snprintf(below, sizeof(below), "%s/below", cycle_cgroup);
	cycle_check(ckpt_init_spawn(&p, &init, &err), &err);
	cycle_close_stdio(p.stdio);
	cycle_wait_output("here");
	cycle_check(ckpt_cgroup_make(below, &err) ||
		    ckpt_cgroup_enter(below, init.root, &err), &err);
	failed = ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err) ||
		 ckpt_stop_collect(stop, &image, &err);
	ckpt_stop_close(stop);
	if (!failed || err.status != CKPT_REFUSED || !strstr(err.text, "is in a cgroup below"))
		fail_msg("a task in a cgroup below: %s", err.text);
	assert_int_equal(kill(init.root, 0), 0);
	ckpt_init_kill(&init);
	cycle_wait_empty();
	cycle_check(ckpt_cgroup_remove(below, &err) || ckpt_cgroup_remove(cycle_cgroup, &err) ||
		    ckpt_cgroup_make(cycle_cgroup, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shell),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_everything_with_host_pids),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_unnamed_files),
		cmocka_unit_test(test_handler_without_stack),
		cmocka_unit_test(test_parent_death),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_sub_cgroup),
		cmocka_unit_test(test_python_and_gcc),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
