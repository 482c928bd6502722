// SPDX-License-Identifier: GPL-2.0-or-later
/* Samples of a thread in user space. */
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "track/sample.h"

/* Of the thread's own time. */
#define PERIOD_NS 50000
#define RING_LEN (2 * 4096)	/* what the kernel tells of the ring, and one page of records */

void ckpt_sample_open(struct ckpt_sample *s, int32_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK, .sample_period = PERIOD_NS,
		.exclude_kernel = 1, .exclude_hv = 1,
	};

	s->ring = MAP_FAILED;
	s->fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (s->fd >= 0)
		s->ring = mmap(NULL, RING_LEN, PROT_READ, MAP_SHARED, s->fd, 0);
	if (s->ring == MAP_FAILED)
		ckpt_sample_close(s);
}

/* There may be other records, as of samples that were lost. */
bool ckpt_sample_seen(const struct ckpt_sample *s)
{
	const struct perf_event_mmap_page *page = s->ring;
	const struct perf_event_header *first;

	if (s->fd < 0 || !__atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE))
		return false;
	first = (const void *)((const char *)s->ring + page->data_offset);
	return first->type == PERF_RECORD_SAMPLE;
}

void ckpt_sample_close(struct ckpt_sample *s)
{
	if (s->ring != MAP_FAILED)
		munmap(s->ring, RING_LEN);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->ring = MAP_FAILED;
}
