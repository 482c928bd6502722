// SPDX-License-Identifier: GPL-2.0
/* 6.2 API change: kobject_init takes a const type. */
#include <linux/kobject.h>

static const struct kobj_type type;

void probe(struct kobject *kobj);
void probe(struct kobject *kobj)
{
	kobject_init(kobj, &type);
}
