/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of ckpt_image_check, each in NOUN-check.c, and what they share
 *
 * Each expects that all that stands above it here is sound.  Return: 0, or -1 with CKPT_DAMAGED.
 */
#ifndef CKPT_PROC_IMAGE_CHECK_H
#define CKPT_PROC_IMAGE_CHECK_H

#include "base/err.h"
#include "proc/image.h"

/* The first contradiction is the error. */
#define BAD_IMAGE(...) ckpt_fail(err, CKPT_DAMAGED, 0, "process image: " __VA_ARGS__)

int ckpt_epolls_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_sockets_check(const struct ckpt_image *image, struct ckpt_err *err);
/**
 * struct ckpt_socket_parts - what there is to the sockets of one family beside their options
 * @noun: of the family, for the refusal
 * @n: how many are described
 * @has: is a socket of this family?
 * @check: of a socket whose part is there
 */
struct ckpt_socket_parts {
	const char *noun;
	size_t n;
	bool (*has)(const struct ckpt_socket *s);
	int (*check)(const struct ckpt_image *image, const struct ckpt_socket *s,
		     struct ckpt_err *err);
};

/* socket-check.c: each is of one file, through which it is built. */
int ckpt_socket_parts_check(const struct ckpt_image *image, const struct ckpt_socket_parts *parts,
			    struct ckpt_err *err);
int ckpt_unixes_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_tcps_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_udps_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_nlsocks_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_timers_check(const struct ckpt_task *task, struct ckpt_err *err);
int ckpt_pidfds_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_inotifies_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_ptys_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_locks_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_filters_check(const struct ckpt_image *image, struct ckpt_err *err);
/* guard-check.c: of an address space whose areas are sound */
int ckpt_guards_check(const struct ckpt_mm *mm, struct ckpt_err *err);
int ckpt_urings_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_shms_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_ipc_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_namespaces_check(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_vdso_bytes_check(const struct ckpt_image *image, struct ckpt_err *err);

/* Parts of ckpt_image_restorable. */
int ckpt_ptys_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			 struct ckpt_err *err);
int ckpt_locks_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			  struct ckpt_err *err);
int ckpt_shms_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			 struct ckpt_err *err);

/* Is it a wait status that a process can end with? */
bool ckpt_image_ends(int32_t status);

#endif
