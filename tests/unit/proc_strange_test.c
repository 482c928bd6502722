// SPDX-License-Identifier: GPL-2.0-or-later
/* What prctl and the like set, and no restore brings back, is refused. */
#include <asm/ldt.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/io.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "proc/ask.h"
#include "proc/sched-attr.h"

/* Not in the headers of older C libraries. */
#define SET_THP_DISABLE 41
#define THP_EXCEPT_ADVISED 2
#define SET_IO_FLUSHER 57
#define SET_MDWE 65
#define SET_MEMORY_MERGE 67
#define SET_CPUID 0x1012
#define REQ_XCOMP_PERM 0x1023
#define ENABLE_TAGGED_ADDR 0x4002
#define XTILE_DATA 18

static void try_prctl(int option, unsigned long a, unsigned long b, unsigned long c)
{
	if (prctl(option, a, b, c, 0))
		proc_group_lacks(EINVAL);
}

static void try_arch(int option, unsigned long value)
{
	if (syscall(SYS_arch_prctl, option, value))
		proc_group_lacks(errno);	/* another processor: ENODEV, ... */
}

static void lose_tsc(void) { try_prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0); }
static void lose_cpuid(void) { try_arch(SET_CPUID, 0); }
static void die_early(void)
{
	try_prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0);
}

static void want_huge(void) { try_prctl(SET_THP_DISABLE, 1, THP_EXCEPT_ADVISED, 0); }
static void merge(void) { try_prctl(SET_MEMORY_MERGE, 1, 0, 0); }
static void want_tiles(void) { try_arch(REQ_XCOMP_PERM, XTILE_DATA); }
static void tag(void) { try_arch(ENABLE_TAGGED_ADDR, 6); }
static void never_execute(void) { try_prctl(SET_MDWE, 1, 0, 0); }

/* Not without CAP_SYS_RESOURCE. */
static void flush(void)
{
	if (prctl(SET_IO_FLUSHER, 1, 0, 0, 0))
		proc_group_lacks(EPERM);
}

static void forbid_speculation(void)
{
	if (prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0))
		proc_group_lacks(ENXIO);
}

static void make_segment(void)
{
	const struct user_desc d = { .entry_number = 1, .limit = 100, .seg_32bit = 1 };

	if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
		proc_group_lacks(ENOSYS);
}

static void open_port(void)
{
	if (ioperm(0x80, 1, 1))
		proc_group_lacks(ENOSYS);
}

#define KEEP_ALL 0x18
#define CLAMP 0x60

static void be_slow(void)
{
	struct ckpt_sched_attr attr = {
		.size = sizeof(attr), .flags = KEEP_ALL | CLAMP, .util_max = 512,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		proc_group_lacks(EOPNOTSUPP);
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ lose_tsc, "has no right to read the time stamp counter" },
		{ lose_cpuid, "has no right to cpuid" },
		{ die_early, "has a way of its own with memory errors" },
		{ flush, "has the mark of who writes for a file system" },
		{ want_huge, "has huge pages where it asks for them alone" },
		{ merge, "has all of its memory merged" },
		{ want_tiles, "has the right to AMX tiles" },
		{ tag, "has addresses with tags" },
		{ never_execute, "may not map memory that it can write and execute" },
		{ forbid_speculation, "has speculation forbidden to it" },
		{ make_segment, "has segments of its own" },
		{ open_port, "has the right to I/O ports" },
		{ be_slow, "has bounds for the speed of its processor" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* As other machines and processors say it. */
static void knows_it_by_status(void **state)
{
	static const struct {
		const char *text;
		bool filtered, usual;
	} cases[] = {
		{ "Name:\tx\nSpeculation_Store_Bypass:\tthread vulnerable\n"
		  "SpeculationIndirectBranch:\tconditional enabled\n", false, true },
		{ "Speculation_Store_Bypass:\tvulnerable\nuntag_mask:\t0xffffffffffffffff\n",
		  false, true },
		{ "Speculation_Store_Bypass:\tglobally mitigated\n", false, true },
		{ "a\nSpeculation_Store_Bypass:\tthread mitigated\n", false, false },
		{ "a\nSpeculation_Store_Bypass:\tthread force mitigated\n", false, false },
		{ "a\nSpeculation_Store_Bypass:\tthread force mitigated\n", true, true },
		{ "a\nSpeculationIndirectBranch:\tconditional disabled\n", false, false },
		{ "a\nSpeculationIndirectBranch:\tconditional force disabled\n", false, false },
		{ "a\nuntag_mask:\t0x81ffffffffffffff\n", true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(!ckpt_state_of_status(cases[i].text, cases[i].filtered) ==
			    cases[i].usual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(knows_it_by_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
