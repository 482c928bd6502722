// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that share memory which has no name: memfds, anonymous memory, System V segments
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was and still shared, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#define TAIL 123
#define SEGMENT 5000		/* bytes: the last page has room behind its end */

/* Bytes that no two places have alike. */
static void fill(void *at, size_t len, unsigned int salt)
{
	uint8_t *p = at;

	for (size_t i = 0; i < len; i++)
		p[i] = (i * 7 + (i >> 8) * 13 + salt * 31) ^ (i >> 3);
}

static bool filled(const void *at, size_t len, unsigned int salt)
{
	uint8_t want[PAGE];

	for (size_t i = 0; i < len; i += PAGE) {
		size_t n = len - i < PAGE ? len - i : PAGE;

		fill(want, n, salt + i / PAGE);
		if (memcmp(want, (const uint8_t *)at + i, n))
			return false;
	}
	return true;
}

static void fill_pages(void *at, size_t len, unsigned int salt)
{
	for (size_t i = 0; i < len; i += PAGE)
		fill((uint8_t *)at + i, len - i < PAGE ? len - i : PAGE, salt + i / PAGE);
}

static bool zeros(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i])
			return false;
	}
	return true;
}

static uint8_t *map(size_t len, int prot, int flags, int fd)
{
	void *at = mmap(NULL, len, prot, flags, fd, 0);

	if (at == MAP_FAILED) {
		printf("cannot map %zu bytes (errno %d)\n", len, errno);
		exit(1);
	}
	return at;
}

static int again(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return MUST(open(path, flags));
}

/* The line of maps that begins at @at, from its protection on and without device and inode. */
static void line_of(const void *at, char ret[512])
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start;
	char line[512], perms[8], offset[32], name[400];

	*ret = 0;
	while (f && fgets(line, sizeof(line), f)) {
		*name = 0;
		if (sscanf(line, "%lx-%*s %7s %31s %*s %*s %399[^\n]", &start, perms, offset,
			   name) >= 3 && start == (unsigned long)at)
			snprintf(ret, 512, "%s %s %s", perms, offset, name);
	}
	fclose(f);
}

/* Mappings whose lines must stay as they are. */
static struct look {
	const void *at;
	char line[512];
} looks[32];
static int n_looks;

static void look(const void *at)
{
	looks[n_looks].at = at;
	line_of(at, looks[n_looks++].line);
}

static void check_looks(void)
{
	char line[512];

	for (int i = 0; i < n_looks; i++) {
		line_of(looks[i].at, line);
		OK(*line && !strcmp(line, looks[i].line));
		if (strcmp(line, looks[i].line))
			printf("%s\nwas: %s\n", line, looks[i].line);
	}
}

/* --- memfds --- */

static const char odd[] = "a/name \\ (deleted)\n";
static int plain, plain_dup, plain_read, plain_append, sealed, sealed_read, future, no_exec, owned;
static int named[2], empty;
static uint8_t *held, *sealed_map, *future_map, *own_copy;

static void make_plain(void)
{
	uint8_t data[PAGE];

	plain = MUST(memfd_create("plain", 0));
	fill(data, sizeof(data), 1);
	OK(pwrite(plain, data, sizeof(data), 0) == PAGE);
	OK(pwrite(plain, data, sizeof(data), 40 * PAGE) == PAGE);
	MUST(ftruncate(plain, 3000 * PAGE + TAIL));
	OK(pwrite(plain, data, TAIL, 3000 * PAGE) == TAIL);
	MUST(lseek(plain, 1000, SEEK_SET));
	plain_dup = MUST(fcntl(plain, F_DUPFD_CLOEXEC, 50));
	plain_read = again(plain, O_RDONLY | O_CLOEXEC);
	MUST(lseek(plain_read, 17, SEEK_SET));
	plain_append = again(plain, O_WRONLY | O_APPEND);
}

static void check_plain(void)
{
	uint8_t data[PAGE] = { 0 };
	struct stat a, b;

	OK(lseek(plain, 0, SEEK_CUR) == 1000 && lseek(plain_dup, 0, SEEK_CUR) == 1000);
	MUST(lseek(plain_dup, 5, SEEK_SET));
	OK(lseek(plain, 0, SEEK_CUR) == 5 && lseek(plain_read, 0, SEEK_CUR) == 17);
	OK(fcntl(plain_dup, F_GETFD) == FD_CLOEXEC && !fcntl(plain, F_GETFD));
	OK((fcntl(plain_read, F_GETFL) & O_ACCMODE) == O_RDONLY);
	OK((fcntl(plain_append, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND));
	OK(fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL);
	MUST(fstat(plain, &a));
	MUST(fstat(plain_append, &b));
	OK(a.st_ino == b.st_ino && a.st_size == 3000 * PAGE + TAIL && a.st_blocks < 100);
	OK(pread(plain_read, data, PAGE, 0) == PAGE && filled(data, PAGE, 1));
	OK(pread(plain_read, data, PAGE, 40 * PAGE) == PAGE && filled(data, PAGE, 1));
	OK(pread(plain_read, data, PAGE, 41 * PAGE) == PAGE && zeros(data, PAGE));
	OK(pread(plain_read, data, PAGE, 3000 * PAGE) == TAIL && filled(data, TAIL, 1));
	OK(write(plain_append, "end", 3) == 3);
	OK(pread(plain, data, 8, 3000 * PAGE + TAIL) == 3 && !memcmp(data, "end", 3));
}

static void make_sealed(void)
{
	sealed = MUST(memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC));
	MUST(ftruncate(sealed, 2 * PAGE));
	sealed_map = map(2 * PAGE, RW, MAP_SHARED, sealed);
	fill_pages(sealed_map, 2 * PAGE, 3);
	munmap(sealed_map, 2 * PAGE);
	MUST(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
	sealed_read = again(sealed, O_RDONLY);
	sealed_map = map(2 * PAGE, PROT_READ, MAP_SHARED, sealed_read);
	future = MUST(memfd_create("future", MFD_ALLOW_SEALING));
	MUST(ftruncate(future, PAGE));
	future_map = map(PAGE, RW, MAP_SHARED, future);
	MUST(fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL));
	fill_pages(future_map, PAGE, 4);
	/* Linux before 6.3 has no such seal */
	no_exec = memfd_create("no exec", MFD_NOEXEC_SEAL);
	look(sealed_map);
	look(future_map);
}

static void check_sealed(void)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

	OK(fcntl(sealed, F_GET_SEALS) == seals && fcntl(sealed_read, F_GET_SEALS) == seals);
	OK(pwrite(sealed, "x", 1, 0) < 0 && errno == EPERM);
	OK(ftruncate(sealed, PAGE) < 0 && errno == EPERM);
	OK(filled(sealed_map, 2 * PAGE, 3));
	OK(mprotect(sealed_map, PAGE, RW) < 0);
	OK(!fcntl(sealed, F_ADD_SEALS, F_SEAL_SEAL));
	OK(fcntl(future, F_GET_SEALS) == (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL));
	OK(filled(future_map, PAGE, 4));
	future_map[0] ^= 1;
	OK(pwrite(future, "x", 1, 0) < 0 && errno == EPERM);
	OK(mmap(NULL, PAGE, RW, MAP_SHARED, future, 0) == MAP_FAILED && errno == EPERM);
	if (no_exec >= 0) {
		OK(fcntl(no_exec, F_GET_SEALS) == 0x20);
		OK(fchmod(no_exec, 0777) < 0 && errno == EPERM);
	}
}

/* It can be executed while it is open for writing: as it was made, that does not count. */
static int script;
static uint8_t *script_map;

static void make_script(void)
{
	script = MUST(memfd_create("script", 0));
	OK(write(script, "#!/bin/true", 11) == 11);
	script_map = map(PAGE, RW, MAP_SHARED, script);
	look(script_map);
}

static void check_script(void)
{
	static char *const argv[] = { "true", NULL };
	int status = -1;
	pid_t pid = MUST(fork());

	if (!pid) {
		fexecve(script, argv, environ);
		_exit(errno);
	}
	OK(waitpid(pid, &status, 0) == pid && !status);
	OK(!memcmp(script_map, "#!/bin/true", 11));
	OK(write(script, "x", 1) == 1 && script_map[11] == 'x');
}

static void make_odd(void)
{
	char name[250];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	named[0] = MUST(memfd_create(name, MFD_CLOEXEC));
	named[1] = MUST(memfd_create(odd, MFD_ALLOW_SEALING));
	MUST(ftruncate(named[1], PAGE));
	look(map(PAGE, RW, MAP_SHARED, named[1]));
	empty = MUST(memfd_create("", 0));
	owned = MUST(memfd_create("owned", 0));
	OK(write(owned, "mine", 4) == 4);
	MUST(fchown(owned, 1000, 1001));
	MUST(fchmod(owned, 02640));
}

static void check_name(int fd, const char *name)
{
	char path[32], link[512], want[512];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	snprintf(want, sizeof(want), "/memfd:%s (deleted)", name);
	OK(!strcmp(link, want));
}

static void check_odd(void)
{
	char name[250];
	struct stat st;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	check_name(named[0], name);
	check_name(named[1], odd);
	check_name(empty, "");
	check_name(owned, "owned");
	MUST(fstat(empty, &st));
	OK(!st.st_size);
	MUST(fstat(owned, &st));
	OK(st.st_uid == 1000 && st.st_gid == 1001 && (st.st_mode & 07777) == 02640);
	OK(st.st_size == 4);
}

/* Held by its mapping alone; and a copy of which some pages are its own. */
static void make_held(void)
{
	int fd = MUST(memfd_create("held", 0));

	MUST(ftruncate(fd, 300 * PAGE + TAIL));
	held = map(301 * PAGE, RW, MAP_SHARED, fd);
	fill_pages(held, 2 * PAGE, 5);
	fill_pages(held + 200 * PAGE, 3 * PAGE, 6);
	/* what lies behind the end can be seen by nobody but a mapping */
	fill(held + 300 * PAGE, PAGE, 7);
	own_copy = map(4 * PAGE, RW, MAP_PRIVATE, fd);
	fill(own_copy + PAGE, PAGE, 9);
	OK(!close(fd));
	look(held);
	look(own_copy);
}

static void check_held(void)
{
	OK(filled(held, 2 * PAGE, 5) && filled(held + 200 * PAGE, 3 * PAGE, 6));
	OK(zeros(held + 2 * PAGE, 198 * PAGE) && filled(held + 300 * PAGE, PAGE, 7));
	OK(filled(own_copy, PAGE, 5) && filled(own_copy + PAGE, PAGE, 9));
	OK(zeros(own_copy + 2 * PAGE, 2 * PAGE));
	/* a page that is not its own shows what is written to the memory */
	held[7] = 99;
	held[PAGE + 7] = 98;
	OK(own_copy[7] == 99 && own_copy[PAGE + 7] != 98);
}

/* --- anonymous memory --- */

struct counters {
	pthread_mutex_t lock;
	int parent, child;
};

static struct counters *counters;
static uint8_t *part, *guarded;
static int cut, emptied;	/* descriptors of memory that is not mapped any more */

/* Map it, open what is mapped, and give it another size. */
static int make_cut(size_t size)
{
	uint8_t *at = map(3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	char path[64];
	int fd;

	fill_pages(at, 3 * PAGE, 50);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)at,
		 (unsigned long)at + 3 * PAGE);
	fd = MUST(open(path, O_RDWR));
	MUST(ftruncate(fd, size));
	munmap(at, 3 * PAGE);
	return fd;
}

static void check_cut(void)
{
	uint8_t data[3 * PAGE];
	struct stat st;

	OK(!fstat(cut, &st) && st.st_size == PAGE + TAIL);
	OK(pread(cut, data, sizeof(data), 0) == PAGE + TAIL && filled(data, PAGE + TAIL, 50));
	OK(!fstat(emptied, &st) && !st.st_size);
	OK(write(emptied, "hello", 5) == 5 && !fstat(emptied, &st) && st.st_size == 5);
}

static void make_anonymous(void)
{
	pthread_mutexattr_t attr;

	counters = (void *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&counters->lock, &attr);
	part = map(8 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	fill_pages(part, 8 * PAGE, 10);
	munmap(part, 2 * PAGE);
	munmap(part + 5 * PAGE, 3 * PAGE);
	part += 2 * PAGE;
	guarded = map(3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	fill_pages(guarded, 3 * PAGE, 11);
	mprotect(guarded + PAGE, PAGE, PROT_NONE);
	mprotect(guarded + 2 * PAGE, PAGE, PROT_READ);
	madvise(guarded, PAGE, MADV_DONTDUMP);
	cut = make_cut(PAGE + TAIL);
	emptied = make_cut(0);
	look(counters);
	look(part);
	look(guarded);
	look(guarded + PAGE);
	look(guarded + 2 * PAGE);
}

static void check_anonymous(void)
{
	uint8_t *whole;

	OK(filled(part, 3 * PAGE, 12));
	/* the rest of it is still there */
	whole = mremap(part, 0, 6 * PAGE, MREMAP_MAYMOVE);
	OK(whole != MAP_FAILED && filled(whole, 6 * PAGE, 12));
	OK(filled(guarded, PAGE, 11) && filled(guarded + 2 * PAGE, PAGE, 13));
	OK(!mprotect(guarded + PAGE, PAGE, PROT_READ) && filled(guarded + PAGE, PAGE, 12));
}

/* --- segments --- */

static int plain_id, key_id, doomed_id;
static key_t key;
static uint8_t *plain_at, *key_at, *doomed_at, *key_read;

static uint8_t *attach(int id, int flags)
{
	void *at = shmat(id, NULL, flags);

	if (at == (void *)-1) {
		printf("cannot attach (errno %d)\n", errno);
		exit(1);
	}
	return at;
}

static void make_segments(void)
{
	struct shmid_ds ds;

	key = 0x5c000000 + (getpid() << 8 ^ time(NULL) % 0xffff0);
	plain_id = MUST(shmget(IPC_PRIVATE, SEGMENT, 0600));
	key_id = MUST(shmget(key, 4 * PAGE, IPC_CREAT | IPC_EXCL | 0640));
	doomed_id = MUST(shmget(key + 1, PAGE, IPC_CREAT | IPC_EXCL | 0600));
	plain_at = attach(plain_id, 0);
	fill_pages(plain_at, 2 * PAGE, 20);
	key_at = attach(key_id, 0);
	fill_pages(key_at, 4 * PAGE, 21);
	key_read = attach(key_id, SHM_RDONLY);
	mprotect(key_at + PAGE, PAGE, PROT_READ);
	doomed_at = attach(doomed_id, 0);
	fill_pages(doomed_at, PAGE, 22);
	MUST(shmctl(key_id, IPC_STAT, &ds));
	ds.shm_perm.uid = 1000;
	ds.shm_perm.mode = 0644;
	MUST(shmctl(key_id, IPC_SET, &ds));
	MUST(shmctl(doomed_id, IPC_RMID, NULL));
	look(plain_at);
	look(key_at);
	look(key_at + PAGE);
	look(key_at + 2 * PAGE);
	look(key_read);
	look(doomed_at);
}

/* The child has the first and the last attached as well. */
static void check_segments(void)
{
	struct shmid_ds ds;

	OK(filled(plain_at, 2 * PAGE, 20) && filled(key_at, 4 * PAGE, 21));
	OK(filled(doomed_at, PAGE, 22) && filled(key_read, 4 * PAGE, 21));
	OK(!shmctl(plain_id, IPC_STAT, &ds) && ds.shm_nattch == 2 && ds.shm_segsz == SEGMENT);
	OK(!shmctl(key_id, IPC_STAT, &ds) && ds.shm_nattch == 4 && ds.shm_perm.uid == 1000);
	OK((ds.shm_perm.mode & 0777) == 0644 && ds.shm_perm.cuid == geteuid());
	OK(shmget(key, 0, 0) == key_id);
	OK(!shmctl(doomed_id, IPC_STAT, &ds) && ds.shm_nattch == 2 && ds.shm_perm.mode & 01000);
	OK(shmget(key + 1, 0, 0) < 0 && errno == ENOENT);
	OK(mprotect(key_read, PAGE, RW) < 0);
	key_at[3] = 77;
	OK(key_read[3] == 77);
	OK(!shmdt(key_read) && !shmdt(key_at));
	OK(!shmctl(key_id, IPC_STAT, &ds) && !ds.shm_nattch);
	OK(!shmctl(key_id, IPC_RMID, NULL));
}

/* --- a file of /dev/shm that has lost its name --- */

static uint8_t *lost;

static void make_lost(void)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/ckpt-shared-%d", getpid());
	fd = MUST(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
	MUST(ftruncate(fd, 2 * PAGE));
	lost = map(2 * PAGE, RW, MAP_SHARED, fd);
	fill_pages(lost, 2 * PAGE, 30);
	MUST(shm_unlink(name));
}

/* --- a program that was never a file --- */

static pid_t runner;

static void make_runner(void)
{
	static char *const argv[] = { "from-memory", "wait", NULL };
	static uint8_t data[1 << 16];
	int from = MUST(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	int to = MUST(memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	ssize_t n;

	while ((n = read(from, data, sizeof(data))) > 0)
		OK(write(to, data, n) == n);
	MUST(fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	n = again(to, O_RDONLY | O_CLOEXEC);
	close(from);
	close(to);
	runner = MUST(fork());
	if (!runner) {
		fexecve(n, argv, environ);
		_exit(1);
	}
	close(n);
}

static void check_runner(void)
{
	char path[64], link[64] = "";
	int status = -1;

	snprintf(path, sizeof(path), "/proc/%d/exe", runner);
	OK(readlink(path, link, sizeof(link) - 1) > 0);
	OK(!strcmp(link, "/memfd:program (deleted)"));
	OK(!kill(runner, SIGTERM) && waitpid(runner, &status, 0) == runner);
	OK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void run_from_memory(void)
{
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigwait(&set, &sig);
	_exit(sig == SIGTERM ? 5 : 6);
}

/* --- the other process --- */

static int child_fd = -1;

/* Said by the parent's writes, found by the child, and the other way round. */
static void exchange(bool child)
{
	uint8_t *places[] = { held + 150 * PAGE, part + 17, guarded + 33, lost + 44, plain_at + 55,
			      plain_at + SEGMENT + 100, doomed_at + 66, future_map + 88 };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (child)
			OK(*places[i] == 100 + i);
		*places[i] = (child ? 150 : 100) + i;
	}
}

static void check_exchanged(void)
{
	OK(held[150 * PAGE] == 150 && part[17] == 151 && guarded[33] == 152 && lost[44] == 153);
	OK(plain_at[55] == 154 && plain_at[SEGMENT + 100] == 155 && doomed_at[66] == 156);
	OK(future_map[88] == 157);
}

static void be_child(int go, int answer)
{
	uint8_t data[PAGE];
	char byte;

	child_fd = MUST(memfd_create("of the child", 0));
	fill(data, sizeof(data), 40);
	OK(write(child_fd, data, sizeof(data)) == PAGE);
	shmdt(key_at);
	shmdt(key_read);
	OK(write(answer, "x", 1) == 1);
	if (read(go, &byte, 1) != 1)
		_exit(1);
	OK(pread(child_fd, data, sizeof(data), 0) == PAGE && filled(data, PAGE, 40));
	OK(lseek(child_fd, 0, SEEK_CUR) == PAGE);
	OK(filled(held, 2 * PAGE, 5) || held[7] == 99);
	exchange(true);
	OK(lseek(plain, 0, SEEK_CUR) == 5);
	pthread_mutex_lock(&counters->lock);
	counters->child = counters->parent + 1;
	pthread_mutex_unlock(&counters->lock);
	OK(write(answer, "y", 1) == 1);
	_exit(wrong);
}

int main(int argc, char **argv)
{
	int go[2], answer[2], status = -1;
	char byte;
	pid_t pid;

	(void)argv;
	if (argc > 1)
		run_from_memory();
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_plain();
	make_sealed();
	make_odd();
	make_script();
	make_held();
	make_anonymous();
	make_segments();
	make_lost();
	MUST(pipe(go));
	MUST(pipe(answer));
	fflush(stdout);
	pid = MUST(fork());
	if (!pid)
		be_child(go[0], answer[1]);
	make_runner();
	counters->parent = 7;
	OK(read(answer[0], &byte, 1) == 1);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_looks();
	check_plain();
	check_sealed();
	check_odd();
	check_script();
	OK(filled(lost, 2 * PAGE, 30));
	check_anonymous();
	check_cut();
	check_segments();
	check_runner();
	pthread_mutex_lock(&counters->lock);
	counters->parent = 41;
	pthread_mutex_unlock(&counters->lock);
	exchange(false);
	OK(write(go[1], "x", 1) == 1 && read(answer[0], &byte, 1) == 1);
	check_exchanged();
	OK(counters->child == 42);
	OK(waitpid(pid, &status, 0) == pid && !status);
	held[150 * PAGE] = 0;
	check_held();
	OK(!shmctl(plain_id, IPC_RMID, NULL));
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
