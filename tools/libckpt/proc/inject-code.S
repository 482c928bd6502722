/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Injected code: a table of system calls, then the way back
 *
 * rbx: next entry { nr, six arguments, result }; r12: entries left;
 * rsp: at the ucontext of a signal frame that holds the thread's own registers.
 * A first argument of CKPT_INJECT_LAST_VALUE stands for the result of the entry before.
 * The last entry raises the signal by which the tracer takes over again; when
 * there is no tracer the signal is ignored and the thread goes home by itself.
 */
#include "proc/inject-value.h"

	.text
	.globl	ckpt_inject_code
	.globl	ckpt_inject_code_end
	.type	ckpt_inject_code, @object
	.type	ckpt_inject_code_end, @object
ckpt_inject_code:
1:	movq	0(%rbx), %rax
	movq	8(%rbx), %rdi
	cmpq	$CKPT_INJECT_LAST_VALUE, %rdi
	jne	3f
	movq	-8(%rbx), %rdi
3:
	movq	16(%rbx), %rsi
	movq	24(%rbx), %rdx
	movq	32(%rbx), %r10
	movq	40(%rbx), %r8
	movq	48(%rbx), %r9
	syscall
	movq	%rax, 56(%rbx)
	addq	$64, %rbx
	decq	%r12
	jnz	1b
2:	movl	$15, %eax		/* rt_sigreturn */
	syscall
	jmp	2b
ckpt_inject_code_end:
	.section .note.GNU-stack, "", @progbits
