// SPDX-License-Identifier: GPL-2.0-or-later
/* io_urings of an image: sound ones, contradictions, what this machine forbids, and fdinfo. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc/build.h"
#include "proc/image-check.h"
#include "proc/uring.h"

struct model {
	struct ckpt_image image;
	struct ckpt_task task;
	struct ckpt_mm mm;
	struct ckpt_file file;
	struct ckpt_uring ring;
	struct ckpt_fdtable table;
	struct ckpt_fd fd;
	struct ckpt_area areas[2];
	uint32_t words[4096];
	uint8_t sqes[16384];
};

static void make(struct model *m)
{
	*m = (struct model){
		.file = { .kind = CKPT_FILE_URING },
		.ring = { .sq_entries = 256, .cq_entries = 512, .no_array = true,
			  .ring_len = 12288, .sqes_len = 16384 },
		.areas = {
			{ .start = 0x10000, .end = 0x13000, .prot = PROT_READ | PROT_WRITE,
			  .kind = CKPT_AREA_KIND_URING },
			{ .start = 0x20000, .end = 0x24000, .prot = PROT_READ,
			  .kind = CKPT_AREA_KIND_URING, .pgoff = CKPT_URING_SQES },
		},
		.words = { 7, 8, 5, 7, 255, 511, 256, 512 },
	};
	m->ring.ring = (uint8_t *)m->words;
	m->ring.sqes = m->sqes;
	m->table = (struct ckpt_fdtable){ .fds = &m->fd, .n_fds = 1 };
	m->mm.areas = m->areas;
	m->mm.n_areas = 2;
	m->image = (struct ckpt_image){
		.tasks = &m->task, .n_tasks = 1, .mms = &m->mm, .n_mms = 1,
		.files = &m->file, .n_files = 1, .urings = &m->ring, .n_urings = 1,
		.fdtables = &m->table, .n_fdtables = 1,
	};
}

#define BAD(change) do { \
	struct ckpt_err err = CKPT_ERR_INIT; \
	make(m); \
	change; \
	assert_int_equal(ckpt_urings_check(&m->image, &err), -1); \
	assert_int_equal(err.status, CKPT_DAMAGED); \
} while (0)

static void test_contradictions(void **state)
{
	struct model *m = malloc(sizeof(*m));

	(void)state;
	make(m);
	assert_int_equal(ckpt_urings_check(&m->image, NULL), 0);
	BAD(m->ring.sq_entries = 255);
	BAD(m->ring.sq_entries = 1u << 30);
	BAD(m->ring.cq_entries = 64);
	BAD(m->ring.ring_len = 4096);
	BAD(m->ring.sqes_len = 4096);
	BAD(m->words[CKPT_URING_SQ_HEAD] = 6);
	BAD(m->words[CKPT_URING_SQ_TAIL] = 7 + 257);
	BAD(m->words[CKPT_URING_CQ_HEAD] = 7 - 512);
	BAD(m->words[CKPT_URING_CQ_HEAD] = 8);
	BAD(m->words[0] = m->words[1] = m->words[2] = m->words[3] = CKPT_URING_MADE_MOST + 1);
	BAD(m->words[CKPT_URING_SQ_MASK] = 127);
	BAD(m->words[CKPT_URING_CQ_ENTRIES] = 256);
	BAD(m->words[CKPT_URING_SQ_FLAGS] = 2);
	BAD(m->words[CKPT_URING_CQ_OVERFLOW] = 1);
	BAD(m->table.n_fds = 0);
	BAD(m->areas[0].file = 1);
	BAD(m->areas[0].pgoff = 4096);
	BAD(m->areas[0].end += 4096);
	BAD(m->areas[1].end -= 4096);
	BAD(m->areas[1].prot |= PROT_EXEC);
	free(m);
}

/* As where kernel.io_uring_disabled is set. */
static void forbid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = 4, .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(2);
}

static void test_forbidden(void **state)
{
	struct model *m = malloc(sizeof(*m));
	int status;
	pid_t pid;

	(void)state;
	make(m);
	m->image.n_tasks = 0;
	pid = fork();
	if (!pid) {
		struct ckpt_err err = CKPT_ERR_INIT;

		forbid();
		_exit(ckpt_machine_check(&m->image, &err) != -1 || err.status != CKPT_REFUSED ||
		      !strstr(err.text, "kernel.io_uring_disabled"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free(m);
}

static void test_fdinfo(void **state)
{
	static const char head[] =
		"pos:\t0\nSqMask:\t0xff\nSqHead:\t254\nSqTail:\t256\nCachedSqHead:\t256\n"
		"CqMask:\t0x1ff\nCqHead:\t7\nCqTail:\t256\nCachedCqTail:\t256\nSQEs:\t2\n"
		"  254: opcode:NOP, fd:0\n  255: opcode:NOP, fd:0\nCQEs:\t0\n";
	struct ckpt_proc_uring u;
	char text[1024];

	(void)state;
	assert_int_equal(ckpt_parse_uring("pos:\t0\n", &u), -1);
	/* Linux 6.18 */
	strcpy(text, head);
	strcat(text, "SqThread:\t-1\nSqThreadCpu:\t-1\nSqTotalTime:\t0\nUserFiles:\t0\n"
	       "UserBufs:\t0\nPollList:\nCqOverflowList:\nNAPI:\tdisabled\n");
	assert_int_equal(ckpt_parse_uring(text, &u), 0);
	assert_true(u.dated && u.shown == 2 && u.at[0] == 254 && u.at[1] == 255);
	assert_true(u.sq_mask == 255 && u.cq_mask == 511 && u.cq_head == 7 && u.cq_cached == 256);
	assert_false(u.served || u.registered || u.waiting || u.lost || u.busy_poll);
	/* Linux 6.1, with all that is refused */
	strcpy(text, head);
	strcat(text, "SqThread:\t77\nSqThreadCpu:\t1\nUserFiles:\t0\nUserBufs:\t0\n"
	       "Personalities:\n    1\n\tUid:\t0\nPollList:\n  op=6, task_works=0\n"
	       "CqOverflowList:\n  user_data=0, res=0, flags=0\n");
	assert_int_equal(ckpt_parse_uring(text, &u), 0);
	assert_true(u.served && u.registered && u.waiting && u.lost && !u.dated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_fdinfo),
	};

	return cmocka_run_group_tests_name("proc image uring", tests, NULL, NULL);
}
