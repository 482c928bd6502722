// SPDX-License-Identifier: GPL-2.0-or-later
/* Process images: random ones survive the codec, damaged bytes never harm. */
#include <fcntl.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/pages.h"
#include "base/wire.h"
#include "proc/image.h"
#include "proc/wait.h"

#define ROUNDS 40

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void fill(void *p, size_t n)
{
	uint8_t *at = p;

	while (n--)
		*at++ = rnd(256);
}

static void *random_bytes(size_t n)
{
	void *p = n ? malloc(n) : NULL;

	if (p)
		fill(p, n);
	return p;
}

static char *random_text(const char *before)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%lx", before, rnd(1ull << 40));
	return strdup(text);
}

static void make_file(struct ckpt_file *f, size_t n_pipes)
{
	fill(f, sizeof(*f));
	f->kind = n_pipes && !rnd(3) ? CKPT_FILE_PIPE : CKPT_FILE_REG;
	f->path = f->kind == CKPT_FILE_PIPE ? NULL : random_text("/a/");
	f->pos &= INT64_MAX;
	f->size &= INT64_MAX;
	f->space = rnd(100);
	f->deleted = rnd(2);
	f->writable = rnd(2);
	f->pipe_write = rnd(2);
	f->pipe = f->kind == CKPT_FILE_PIPE ? rnd(n_pipes) : CKPT_NONE;
	f->object = rnd(100);
	f->capture_pid = f->capture_fd = 0;
	f->capture_start = f->capture_end = 0;
	f->ctime_ns = 0;
}

static void make_mm(struct ckpt_mm *mm)
{
	uint64_t at = 0x10000;
	size_t i;

	fill(mm->layout, sizeof(mm->layout));
	mm->space = rnd(1000);
	mm->thp_disabled = rnd(2);
	mm->membarrier = rnd(100);
	mm->coredump_filter = rnd(100) | CKPT_COREDUMP_KNOWN;
	mm->auxv_len = rnd(10) * 16;
	mm->auxv = random_bytes(mm->auxv_len);
	mm->exe = 0;
	mm->n_areas = rnd(20);
	mm->areas = calloc(mm->n_areas + 1, sizeof(*mm->areas));
	for (i = 0; i < mm->n_areas; i++) {
		struct ckpt_area *a = &mm->areas[i];

		a->start = at + rnd(100) * 4096;
		a->end = at = a->start + (1 + rnd(1000)) * 4096;
		a->prot = rnd(8);
		a->flags = rnd(1u << 14);
		a->kind = rnd(2) ? CKPT_AREA_KIND_ANON : CKPT_AREA_KIND_FILE_PRIVATE;
		a->file = a->kind == CKPT_AREA_KIND_ANON ? CKPT_NONE : 0;
		a->pgoff = rnd(100) * 4096;
		a->name = rnd(3) ? NULL : random_text("n");
	}
}

static siginfo_t *random_signals(size_t n)
{
	siginfo_t *info = random_bytes(n * sizeof(*info));

	for (size_t i = 0; i < n; i++)
		info[i].si_signo = 1 + rnd(CKPT_NSIG);
	return info;
}

static void make_creds(struct ckpt_creds *c)
{
	fill(c, sizeof(*c));
	c->n_groups = rnd(4);
	c->groups = random_bytes(c->n_groups * 4);
	c->no_new_privs = rnd(2);
	c->securebits = 0;
}

static void make_thread(struct ckpt_thread *t, int tid)
{
	fill(t, sizeof(*t));
	t->tid = tid;
	strcpy(t->comm, "thread");
	t->xstate_len = 576 + rnd(300) * 8;
	t->xstate = random_bytes(t->xstate_len);
	t->n_pending = rnd(3);
	t->pending = random_signals(t->n_pending);
	t->pdeath_sig = rnd(CKPT_NSIG + 1);
	t->affinity_len = rnd(129);
	t->regs.orig_rax = SYS_epoll_wait;
	t->regs.rax = -514;	/* ERESTARTNOHAND */
	t->wait = rnd(CKPT_WAIT_LAST + 1);
	t->wait_ns = t->wait == CKPT_WAIT_LEFT ? (int64_t)rnd(1000) - 500 : 0;
	t->filters = NULL;
	t->n_filters = 0;
	make_creds(&t->creds);
	t->creds.securebits = rnd(100);
	t->host_tid = 0;
}

static void make_timers(struct ckpt_task *t)
{
	t->n_timers = rnd(3);
	t->timers = calloc(t->n_timers + 1, sizeof(*t->timers));
	for (size_t i = 0; i < t->n_timers; i++)
		t->timers[i] = (struct ckpt_timer){ .id = 3 * i, .signo = 1 + rnd(CKPT_NSIG),
						    .value_ns = rnd(INT64_MAX) };
}

static void make_task(struct ckpt_task *t, int pid, int ppid, const struct ckpt_image *image)
{
	size_t i;

	fill(t, sizeof(*t));
	t->pid = t->pgid = t->sid = pid;
	t->ppid = ppid;
	t->state = ppid && !rnd(4) ? CKPT_TASK_ZOMBIE : CKPT_TASK_ALIVE;
	strcpy(t->comm, "task");
	t->exit_signal = rnd(CKPT_NSIG + 1);
	t->exit_code = rnd(2) ? (int)rnd(256) << 8 : SIGKILL;
	t->child_subreaper = rnd(2);
	t->stop_told = rnd(2);
	t->n_pending = rnd(3);
	t->pending = random_signals(t->n_pending);
	t->host_pid = 0;
	t->ctty = t->tpgid = 0;
	t->mm = t->fdtable = t->cwd = t->root = CKPT_NONE;
	t->threads = NULL;
	t->timers = NULL;
	t->n_threads = t->n_timers = 0;
	memset(&t->creds, 0, sizeof(t->creds));
	t->creds_known = t->state == CKPT_TASK_ZOMBIE;
	if (t->state == CKPT_TASK_ZOMBIE) {
		make_creds(&t->creds);
		return;
	}
	for (i = 0; i < 3; i++) {
		t->itimers[i].value_ns &= INT64_MAX;
		t->itimers[i].interval_ns &= INT64_MAX;
	}
	t->mm = rnd(image->n_mms);
	t->fdtable = rnd(image->n_fdtables);
	t->cwd = 0;
	t->n_threads = 1 + rnd(4);
	t->threads = calloc(t->n_threads, sizeof(*t->threads));
	for (i = 0; i < t->n_threads; i++)
		make_thread(&t->threads[i], pid + i);
	make_timers(t);
}

/* Locks of who has the file open. */
static void make_locks(struct ckpt_image *image)
{
	const struct ckpt_fdtable *table = &image->fdtables[image->tasks[0].fdtable];

	image->locks = calloc(table->n_fds + 1, sizeof(*image->locks));
	for (size_t i = 0; i < table->n_fds; i++) {
		const uint32_t file = table->fds[i].file;

		if (image->files[file].kind != CKPT_FILE_REG)
			continue;
		image->files[file].flags &= ~(uint32_t)O_PATH;
		image->locks[image->n_locks++] = (struct ckpt_lock){
			.write = rnd(2), .file = file, .pid = image->tasks[0].pid, .end = INT64_MAX,
		};
	}
}

/* One of each that is waited for, and the descriptors of all. */
static void make_objects(struct ckpt_image *image)
{
	static const uint32_t kinds[] = {
		CKPT_FILE_EVENTFD, CKPT_FILE_TIMERFD, CKPT_FILE_SIGNALFD, CKPT_FILE_EPOLL,
	};
	size_t before = image->n_files, i;

	image->eventfds = calloc(1, sizeof(*image->eventfds));
	image->timerfds = calloc(1, sizeof(*image->timerfds));
	image->signalfds = calloc(1, sizeof(*image->signalfds));
	image->epolls = calloc(1, sizeof(*image->epolls));
	image->n_eventfds = image->n_timerfds = image->n_signalfds = image->n_epolls = 1;
	fill(&image->eventfds->count, sizeof(image->eventfds->count));
	image->eventfds->semaphore = rnd(2);
	fill(image->timerfds, sizeof(*image->timerfds));
	image->timerfds->value_ns &= INT64_MAX;
	image->timerfds->interval_ns &= INT64_MAX;
	image->timerfds->clock = rnd(2);
	image->timerfds->flags &= 1;
	fill(image->signalfds, sizeof(*image->signalfds));
	image->epolls->n_targets = rnd(4);
	image->epolls->targets = calloc(4, sizeof(*image->epolls->targets));
	for (i = 0; i < image->epolls->n_targets; i++) {
		fill(&image->epolls->targets[i], sizeof(*image->epolls->targets));
		image->epolls->targets[i].fd &= INT32_MAX;
		image->epolls->targets[i].file = rnd(before);
	}
	image->n_files += 4;
	image->files = realloc(image->files, image->n_files * sizeof(*image->files));
	for (i = before; i < image->n_files; i++) {
		make_file(&image->files[i], 0);
		free(image->files[i].path);
		image->files[i].path = NULL;
		image->files[i].kind = kinds[i - before];
		image->files[i].object = 0;
	}
}

static void make_shm(struct ckpt_image *image)
{
	struct ckpt_shm *s = image->shms = calloc(1, sizeof(*s));

	image->n_shms = 1;
	fill(s, sizeof(*s));
	s->kind = rnd(3);
	s->name = random_text("shm");
	s->size &= INT64_MAX;
	s->size |= 1;
	s->space = rnd(100);
	s->seals &= CKPT_SHM_SEALS;
	s->id &= INT32_MAX;
	s->mode &= 0777;
	s->noreserve = rnd(2);
	s->doomed = rnd(2);
}

static void make_vdso(struct ckpt_image *image)
{
	fill(image->vdso_hash, sizeof(image->vdso_hash));
	image->vdso_len = rnd(3) * CKPT_PAGE_LEN;
	if (!image->vdso_len)
		return;
	image->vdso = random_bytes(image->vdso_len);
	SHA256(image->vdso, image->vdso_len, image->vdso_hash);
}

static struct ckpt_image make_image(void)
{
	struct ckpt_image image = { .monotonic_ns = rnd(1ull << 60), .private_pidns = rnd(2) };
	size_t i, j;

	make_vdso(&image);
	strcpy(image.kernel, "6.1.0");
	fill(image.cpus, sizeof(image.cpus));
	image.label = rnd(2) ? random_text("l") : NULL;
	image.label_known = rnd(2);
	image.n_pipes = rnd(4);
	image.pipes = calloc(image.n_pipes + 1, sizeof(*image.pipes));
	for (i = 0; i < image.n_pipes; i++) {
		image.pipes[i].capacity = 65536;
		image.pipes[i].len = rnd(300);
		image.pipes[i].data = random_bytes(image.pipes[i].len);
	}
	image.n_files = 1 + rnd(8);
	image.files = calloc(image.n_files, sizeof(*image.files));
	for (i = 0; i < image.n_files; i++)
		make_file(&image.files[i], i ? image.n_pipes : 0);
	if (rnd(2))
		make_objects(&image);
	if (rnd(2))
		make_shm(&image);
	image.n_mms = 1 + rnd(3);
	image.mms = calloc(image.n_mms, sizeof(*image.mms));
	for (i = 0; i < image.n_mms; i++)
		make_mm(&image.mms[i]);
	image.n_fdtables = 1 + rnd(3);
	image.fdtables = calloc(image.n_fdtables, sizeof(*image.fdtables));
	for (i = 0; i < image.n_fdtables; i++) {
		image.fdtables[i].n_fds = rnd(6);
		image.fdtables[i].fds = calloc(6, sizeof(struct ckpt_fd));
		for (j = 0; j < image.fdtables[i].n_fds; j++)
			image.fdtables[i].fds[j] = (struct ckpt_fd){ j * 3, rnd(2),
								     rnd(image.n_files) };
	}
	image.n_tasks = 1 + rnd(5);
	image.tasks = calloc(image.n_tasks, sizeof(*image.tasks));
	for (i = 0; i < image.n_tasks; i++)
		make_task(&image.tasks[i], 10 + 10 * i, i ? 10 : 0, &image);
	make_locks(&image);
	return image;
}

static void test_round_trip(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < ROUNDS * 5; i++) {
		struct ckpt_image image = make_image(), back;
		struct ckpt_buf one = CKPT_BUF_INIT, two = CKPT_BUF_INIT;
		struct ckpt_err err = CKPT_ERR_INIT;

		assert_int_equal(ckpt_image_encode(&image, &one, &err), 0);
		if (ckpt_image_decode(one.data, one.len, &back, &err))
			fail_msg("%s", err.text);
		assert_int_equal(back.n_tasks, image.n_tasks);
		assert_memory_equal(&back.tasks[0].threads[0].regs, &image.tasks[0].threads[0].regs,
				    sizeof(struct user_regs_struct));
		assert_int_equal(back.mms[0].n_areas, image.mms[0].n_areas);
		assert_string_equal(back.files[0].path, image.files[0].path);
		assert_int_equal(back.files[0].mtime_ns, image.files[0].mtime_ns);
		assert_int_equal(ckpt_image_encode(&back, &two, &err), 0);
		assert_int_equal(one.len, two.len);
		assert_memory_equal(one.data, two.data, one.len);
		ckpt_buf_done(&one);
		ckpt_buf_done(&two);
		ckpt_image_done(&image);
		ckpt_image_done(&back);
	}
}

/* Decode what may be damaged; the bytes are copied so that ASan sees their end. */
static int decode(const uint8_t *data, size_t len, enum ckpt_status *ret_status)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;
	uint8_t *copy = malloc(len + !len);
	int r;

	memcpy(copy, data, len);
	memset(&image, 0x77, sizeof(image));
	r = ckpt_image_decode(copy, len, &image, &err);
	if (r) {
		assert_int_equal(((uint8_t *)&image)[0], 0x77);
		assert_true(err.text[0]);
	} else {
		assert_int_equal(ckpt_image_check(&image, NULL), 0);
		ckpt_image_done(&image);
	}
	*ret_status = err.status;
	free(copy);
	return r;
}

static void test_truncated(void **state)
{
	struct ckpt_image image = make_image();
	struct ckpt_buf b = CKPT_BUF_INIT;
	enum ckpt_status status;
	size_t len, ends = 0;

	(void)state;
	assert_int_equal(ckpt_image_encode(&image, &b, NULL), 0);
	for (len = 0; len < b.len; len += 1 + (len > 4096) * rnd(16)) {
		if (decode(b.data, len, &status))
			assert_int_equal(status, CKPT_DAMAGED);
		else
			ends++;	/* optional last records are gone */
	}
	assert_in_range(ends, 0, 5);
	ckpt_buf_done(&b);
	ckpt_image_done(&image);
}

static void test_flipped(void **state)
{
	enum ckpt_status status;
	int i, j, refused = 0;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		struct ckpt_image image = make_image();
		struct ckpt_buf b = CKPT_BUF_INIT;

		assert_int_equal(ckpt_image_encode(&image, &b, NULL), 0);
		for (j = 0; j < 200; j++) {
			size_t at = rnd(b.len);
			uint8_t was = b.data[at];

			b.data[at] ^= 1 + rnd(255);
			refused += decode(b.data, b.len, &status) != 0;
			b.data[at] = was;
		}
		ckpt_buf_done(&b);
		ckpt_image_done(&image);
	}
	assert_true(refused > ROUNDS);
}

/* Each contradiction is found; @spoil makes one in a sound image. */
static void expect_bad(void (*spoil)(struct ckpt_image *))
{
	struct ckpt_image image;
	struct ckpt_buf b = CKPT_BUF_INIT;
	enum ckpt_status status;

	do {
		image = make_image();
		if (image.n_tasks > 1 && image.tasks[1].state == CKPT_TASK_ZOMBIE &&
		    image.n_pipes && image.mms[0].n_areas > 1 &&
		    image.tasks[0].n_threads > 1 && image.fdtables[0].n_fds > 1 &&
		    image.files[image.n_files - 1].kind == CKPT_FILE_PIPE)
			break;
		ckpt_image_done(&image);
	} while (1);
	spoil(&image);
	assert_int_equal(ckpt_image_encode(&image, &b, NULL), 0);
	assert_int_equal(decode(b.data, b.len, &status), -1);
	assert_int_equal(status, CKPT_DAMAGED);
	ckpt_buf_done(&b);
	ckpt_image_done(&image);
}

#define SPOIL(name, change) \
	static void spoil_##name(struct ckpt_image *i) { change; } \
	static void test_bad_##name(void **state) { (void)state; expect_bad(spoil_##name); }

SPOIL(mm, i->tasks[0].mm = i->n_mms)
SPOIL(vdso, (free(i->vdso), i->vdso = random_bytes(CKPT_PAGE_LEN),
	     i->vdso_len = CKPT_PAGE_LEN))
SPOIL(vdso_len, (free(i->vdso), i->vdso = random_bytes(100), i->vdso_len = 100,
		 SHA256(i->vdso, 100, i->vdso_hash)))
SPOIL(vdso_max, (free(i->vdso), i->vdso = calloc(17, CKPT_PAGE_LEN),
		 i->vdso_len = 17 * CKPT_PAGE_LEN,
		 SHA256(i->vdso, i->vdso_len, i->vdso_hash)))
SPOIL(exe, i->mms[0].exe = CKPT_NONE)
SPOIL(exe_pipe, i->mms[0].exe = i->n_files - 1)
SPOIL(fdtable, i->tasks[0].fdtable = i->n_fdtables)
SPOIL(cwd, i->tasks[0].cwd = i->n_files)
SPOIL(pipe, i->files[i->n_files - 1].pipe = i->n_pipes)
SPOIL(pipe_len, i->pipes[0].capacity = 0)
SPOIL(area_file, (i->mms[0].areas[0].kind = CKPT_AREA_KIND_FILE_SHARED,
		  i->mms[0].areas[0].file = i->n_files))
SPOIL(area_order, i->mms[0].areas[1].start = i->mms[0].areas[0].start)
SPOIL(area_bounds, i->mms[0].areas[0].start += 1)
SPOIL(fd_order, i->fdtables[0].fds[1].fd = i->fdtables[0].fds[0].fd)
SPOIL(fd_file, i->fdtables[0].fds[0].file = i->n_files)
SPOIL(leader, i->tasks[0].threads[0].tid++)
SPOIL(twice, i->tasks[0].threads[1].tid = i->tasks[0].pid)
SPOIL(parent, i->tasks[1].ppid = 9999)
SPOIL(cycle, i->tasks[0].ppid = i->tasks[0].pid)
SPOIL(comm, memset(i->tasks[0].comm, 'x', 16))
SPOIL(path, (free(i->files[0].path), i->files[0].path = strdup("relative")))
SPOIL(xstate, i->tasks[0].threads[0].xstate_len = 100)
SPOIL(affinity, i->tasks[0].threads[0].affinity_len = 129)
SPOIL(wait, i->tasks[0].threads[0].wait = CKPT_WAIT_LAST + 1)
SPOIL(wait_time, (i->tasks[0].threads[0].wait = CKPT_WAIT_NONE,
		  i->tasks[0].threads[0].wait_ns = 1))
SPOIL(wait_call, (i->tasks[0].threads[0].wait = CKPT_WAIT_LEFT,
		  i->tasks[0].threads[0].regs.orig_rax = SYS_read))
SPOIL(wait_over, (i->tasks[0].threads[0].wait = CKPT_WAIT_UNKNOWN,
		  i->tasks[0].threads[0].wait_ns = i->tasks[0].threads[0].regs.rax = 0))
SPOIL(exit_signal, i->tasks[0].exit_signal = 65)
SPOIL(zombie_status, i->tasks[1].exit_code = SIGCHLD)
SPOIL(nobody, (ckpt_image_done(i), strcpy(i->kernel, "x")))

/* The files of what is waited for are the last four, in the order of their kinds. */
static void with_objects(struct ckpt_image *i)
{
	if (!i->n_epolls)
		make_objects(i);
	i->epolls->n_targets = 1;
	i->epolls->targets[0] = (struct ckpt_epoll_target){ .fd = 3 };
}

#define SPOIL_OBJECT(name, change) SPOIL(name, (with_objects(i), (change)))

SPOIL_OBJECT(object, i->files[i->n_files - 4].object = 1)
SPOIL_OBJECT(eventfd, i->eventfds->count = UINT64_MAX)
SPOIL_OBJECT(clock, i->timerfds->clock = 5)
SPOIL_OBJECT(timer_flags, i->timerfds->flags = 2)
SPOIL_OBJECT(timer_time, i->timerfds->value_ns = -1)
SPOIL_OBJECT(timer_day, (i->realtime_ns = 2, i->timerfds->value_ns = INT64_MAX - 1))
SPOIL_OBJECT(realtime, i->realtime_ns = UINT64_MAX)
SPOIL_OBJECT(watched, i->epolls->targets[0].file = i->n_files)
SPOIL_OBJECT(watched_fd, i->epolls->targets[0].fd = -1)
SPOIL_OBJECT(watches_itself, i->epolls->targets[0].file = i->n_files - 1)

static void test_unknown_record(void **state)
{
	struct ckpt_image image = make_image(), back;
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_int_equal(ckpt_image_encode(&image, &b, NULL), 0);
	ckpt_wire_u64(&b, 99 | CKPT_WIRE_OPTIONAL, 5);
	assert_int_equal(ckpt_image_decode(b.data, b.len, &back, &err), 0);
	ckpt_image_done(&back);
	ckpt_wire_u64(&b, 99, 5);
	assert_int_equal(ckpt_image_decode(b.data, b.len, &back, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	ckpt_buf_done(&b);
	ckpt_image_done(&image);
}

int main(void)
{
#define BAD_TEST(name) cmocka_unit_test(test_bad_##name)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_unknown_record),
		BAD_TEST(vdso), BAD_TEST(vdso_len), BAD_TEST(vdso_max),
		BAD_TEST(mm), BAD_TEST(exe), BAD_TEST(exe_pipe), BAD_TEST(fdtable), BAD_TEST(cwd),
		BAD_TEST(pipe), BAD_TEST(pipe_len), BAD_TEST(area_file), BAD_TEST(area_order),
		BAD_TEST(area_bounds), BAD_TEST(fd_order), BAD_TEST(fd_file), BAD_TEST(leader),
		BAD_TEST(twice), BAD_TEST(parent), BAD_TEST(cycle), BAD_TEST(comm), BAD_TEST(path),
		BAD_TEST(xstate), BAD_TEST(affinity), BAD_TEST(nobody),
		BAD_TEST(wait), BAD_TEST(wait_time), BAD_TEST(wait_call), BAD_TEST(wait_over),
		BAD_TEST(exit_signal), BAD_TEST(zombie_status),
		BAD_TEST(object), BAD_TEST(eventfd), BAD_TEST(clock), BAD_TEST(timer_flags),
		BAD_TEST(timer_time), BAD_TEST(timer_day), BAD_TEST(realtime), BAD_TEST(watched),
		BAD_TEST(watched_fd), BAD_TEST(watches_itself),
	};
	const char *given = getenv("CKPT_SEED");

	seed = given ? strtoull(given, NULL, 0) : 0x5eed;
	printf("# CKPT_SEED=0x%lx\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
