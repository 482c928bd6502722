// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared memory without a name over a restore. Natively as root. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/remote.h"

#define PROGRAM "shared_memory"

static size_t count(const struct ckpt_image *image, uint32_t kind)
{
	size_t n = 0;

	for (size_t i = 0; i < image->n_shms; i++)
		n += image->shms[i].kind == kind;
	return n;
}

static void check_counts(const struct ckpt_image *image)
{
	assert_in_range(count(image, CKPT_SHM_MEMFD), 11, 12);	/* one needs Linux 6.3 */
	assert_int_equal(count(image, CKPT_SHM_ANON), 5);
	assert_int_equal(count(image, CKPT_SHM_SYSV), 3);
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	cycle_save_program(PROGRAM, NULL, private, &first);
	check_counts(&first.image);
	cycle_restore_and_save(&first, 0, &second);
	check_counts(&second.image);
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside_us(void **state)
{
	(void)state;
	restored(false);
}

static const struct ckpt_shm *segment_with_key(const struct ckpt_image *image)
{
	const struct ckpt_shm *s = image->shms;

	while (s->kind != CKPT_SHM_SYSV || !s->key || s->doomed)
		s++;
	return s;
}

static void expect_refused(const struct saved *s, const char *says)
{
	const struct ckpt_restore_params params = { .image = &s->image, .source = &s->source };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

/* Segments that are there already: somebody's, one that is not the same, and what the tree left. */
static void test_taken(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_shm *shm;
	struct shmid_ds ds;
	void *at;
	int id;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	shm = segment_with_key(&s.image);
	at = shmat(shm->id, NULL, 0);
	assert_true(at != (void *)-1);
	expect_refused(&s, "is there, in use or not the same");
	assert_int_equal(shmdt(at), 0);
	assert_int_equal(shmctl(shm->id, IPC_STAT, &ds), 0);
	assert_int_equal(ds.shm_nattch, 0);
	assert_int_equal(shmctl(shm->id, IPC_RMID, NULL), 0);
	id = shmget(shm->key, 100, IPC_CREAT | IPC_EXCL | 0600);
	assert_true(id >= 0 && id != shm->id);
	expect_refused(&s, "has the key");
	assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
	cycle_go_on(&s);
}

/* The first area in the first task that begins shared memory of a kind. */
static const struct ckpt_area *area_of(const struct ckpt_image *image, uint32_t kind)
{
	const struct ckpt_area *a = image->mms[image->tasks[0].mm].areas;

	while (!ckpt_area_shm(image, a) || ckpt_area_shm(image, a)->kind != kind ||
	       !(a->prot & PROT_WRITE) || a->kind != CKPT_AREA_KIND_FILE_SHARED || a->pgoff)
		a++;
	return a;
}

/* End a restore that has failed: nothing stays of it. */
static void give_up(const struct saved *s, struct ckpt_restore *r)
{
	struct shmid_ds ds;

	ckpt_restore_close(r);
	cycle_fresh_cgroup();
	assert_int_equal(shmctl(segment_with_key(&s->image)->id, IPC_STAT, &ds), -1);
}

static struct ckpt_restore_params params_of(const struct saved *s)
{
	return (struct ckpt_restore_params){ .image = &s->image, .source = &s->source,
					     .cgroup = cycle_cgroup_dir, .stdio = { 0, 1, 2 } };
}

/* A byte that is another one when all is built. */
static void expect_found(struct saved *s, uint32_t kind, uint64_t offset)
{
	struct ckpt_restore_params params = params_of(s);
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	uint64_t at = area_of(&s->image, kind)->start + offset;
	uint8_t byte;

	cycle_check(ckpt_restore_build(&params, &r, &err), &err);
	assert_int_equal(ckpt_remote_read(r->tasks[0].host, at, &byte, 1, &err), 0);
	byte ^= 4;
	assert_int_equal(ckpt_remote_write(r->tasks[0].host, at, &byte, 1, &err), 0);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	if (!strstr(err.text, "is not what the checkpoint holds"))
		fail_msg("%s", err.text);
	give_up(s, r);
}

/* Pages where the memory has none. */
static void test_too_long(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const uint8_t data[CKPT_PAGE_LEN] = { 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore_params params;
	struct ckpt_restore *r = NULL;
	const struct ckpt_shm *shm;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	params = params_of(&s);
	shm = ckpt_area_shm(&s.image, area_of(&s.image, CKPT_SHM_ANON));
	mem_put(&s.store, shm->space, shm->size / CKPT_PAGE_LEN, data, 1, NULL);
	assert_int_equal(ckpt_restore_build(&params, &r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	mem_drop(&s.store, shm->space, shm->size / CKPT_PAGE_LEN, 1, NULL);
	give_up(&s, NULL);
	cycle_go_on(&s);
}

static void test_verified(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	expect_found(&s, CKPT_SHM_MEMFD, 5);
	expect_found(&s, CKPT_SHM_ANON, 1000);
	expect_found(&s, CKPT_SHM_SYSV, 4000);
	cycle_go_on(&s);
}

/* Memory that looks the same, and is not the one that the others have. */
static void test_shared(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore_params params;
	struct ckpt_restore *r = NULL;
	const struct ckpt_area *a;
	struct ckpt_site site;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	params = params_of(&s);
	a = area_of(&s.image, CKPT_SHM_ANON);
	cycle_check(ckpt_restore_build(&params, &r, &err), &err);
	site = ckpt_build_site(r, &r->tasks[0], 0);
	assert_int_equal(ckpt_site_call(&site, &err, "map", SYS_mmap,
					ARGS(a->start, a->end - a->start, a->prot,
					     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0)),
			 a->start);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	if (!strstr(err.text, "maps other memory at"))
		fail_msg("%s", err.text);
	give_up(&s, r);
	cycle_go_on(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_shared),
	};

	/* segments from id 0 on, which is no inode number of a file, and none of others */
	if (unshare(CLONE_NEWIPC)) {
		perror("unshare");
		return 1;
	}
	return cmocka_run_group_tests_name("proc shm", tests, cycle_setup, cycle_teardown);
}
