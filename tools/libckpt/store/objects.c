// SPDX-License-Identifier: GPL-2.0-or-later
/* Objects: every block and node of a store. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "store/objects.h"

#define OPEN_MAX_PACKS 64
#define INDEX_LEN_MAX (1ull << 32)

void ckpt_object_table_done(struct ckpt_object_table *t)
{
	free(t->slot);
	*t = (struct ckpt_object_table){ 0 };
}

static size_t slot_of(const struct ckpt_object_table *t, const struct ckpt_hash *name)
{
	uint64_t n;
	size_t i;

	memcpy(&n, name->b, sizeof(n));
	for (i = n & (t->size - 1); t->slot[i].object.raw_len; i = (i + 1) & (t->size - 1))
		if (ckpt_hash_equal(&t->slot[i].object.hash, name))
			break;
	return i;
}

const struct ckpt_located *ckpt_object_table_find(const struct ckpt_object_table *t,
						  const struct ckpt_hash *name)
{
	const struct ckpt_located *l;

	if (!t->size)
		return NULL;
	l = &t->slot[slot_of(t, name)];
	return l->object.raw_len ? l : NULL;
}

const struct ckpt_located *ckpt_object_table_next(const struct ckpt_object_table *t,
						  const struct ckpt_located *l)
{
	size_t i = l - t->slot;

	while (t->slot[i = (i + 1) & (t->size - 1)].object.raw_len)
		if (ckpt_hash_equal(&t->slot[i].object.hash, &l->object.hash))
			return &t->slot[i];
	return NULL;
}

/* Behind all copies of the same name, so that the first one stays the first. */
static void insert(struct ckpt_object_table *t, const struct ckpt_located *l)
{
	uint64_t n;
	size_t i;

	memcpy(&n, l->object.hash.b, sizeof(n));
	for (i = n & (t->size - 1); t->slot[i].object.raw_len; i = (i + 1) & (t->size - 1))
		;
	t->slot[i] = *l;
}

static int grow(struct ckpt_object_table *t)
{
	struct ckpt_object_table bigger = { .n = t->n, .size = t->size ? 2 * t->size : 1024 };

	bigger.slot = calloc(bigger.size, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -1;
	for (size_t i = 0; i < t->size; i++)
		if (t->slot[i].object.raw_len)
			insert(&bigger, &t->slot[i]);
	free(t->slot);
	*t = bigger;
	return 0;
}

static int reserve(struct ckpt_object_table *t, size_t n)
{
	while (4 * (t->n + n) > 3 * t->size)
		if (grow(t))
			return -1;
	return 0;
}

int ckpt_object_table_add(struct ckpt_object_table *t, const struct ckpt_object *o, uint32_t pack)
{
	const struct ckpt_located l = { *o, pack };

	if (reserve(t, 1))
		return -1;
	insert(t, &l);
	t->n++;
	return 0;
}

void ckpt_objects_init(struct ckpt_objects *o, int dir, const char *path)
{
	*o = (struct ckpt_objects){ .dir = dir, .path = path };
}

int ckpt_objects_view(const struct ckpt_objects *from, size_t cache_len, struct ckpt_objects *ret,
		      struct ckpt_err *err)
{
	struct ckpt_pack *packs = calloc(from->npacks + 1, sizeof(*packs));

	if (!packs)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "no memory for the packs of store '%s'", from->path);
	for (uint32_t i = 0; i < from->npacks; i++) {
		packs[i] = from->packs[i];
		packs[i].fd = -1;
	}
	*ret = (struct ckpt_objects){
		.dir = from->dir, .view = true, .path = from->path, .packs = packs,
		.npacks = from->npacks, .table = from->table, .cache.len_max = cache_len,
		.whole = from->whole, .kept = from->kept,
	};
	return 0;
}

void ckpt_objects_done(struct ckpt_objects *o)
{
	for (uint32_t i = 0; i < o->npacks; i++) {
		if (o->packs[i].fd >= 0)
			close(o->packs[i].fd);
		if (!o->view)
			free(o->packs[i].damage);
	}
	free(o->packs);
	ckpt_object_reader_done(&o->reader);
	if (!o->view) {
		ckpt_object_table_done(&o->table);
		ckpt_whole_done(&o->whole);
		ckpt_kept_done(&o->kept);
	}
	ckpt_cache_done(&o->cache);
	*o = (struct ckpt_objects){ .dir = -1 };
}

/* Damage is what stays: a want of descriptors or memory is none. */
int ckpt_objects_fail_open(int os, struct ckpt_err *err)
{
	bool damage = os == ENOENT || os == ELOOP || os == EIO || os == EISDIR || os == ENXIO;

	return ckpt_fail(err, damage ? CKPT_DAMAGED : CKPT_FAILED, os, "it cannot be opened");
}

static void close_pack(struct ckpt_objects *o, struct ckpt_pack *p)
{
	if (p->fd < 0)
		return;
	close(take_fd(p->fd));
	o->open--;
}

static int open_pack(struct ckpt_objects *o, struct ckpt_pack *p)
{
	if (p->fd >= 0)
		return 0;
	for (uint32_t i = 0; o->open >= OPEN_MAX_PACKS && i < o->npacks; i++)
		close_pack(o, &o->packs[i]);
	p->fd = openat(o->dir, p->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (p->fd < 0)
		return -1;
	o->open++;
	return 0;
}

/* Index of one pack. Return: 0, or -1 with @err saying what is wrong with the pack. */
static int load_index(struct ckpt_objects *o, uint32_t pack, struct ckpt_err *err)
{
	uint8_t head[CKPT_PACK_HEAD_LEN], tail[CKPT_PACK_TAIL_LEN], uuid[CKPT_UUID_LEN];
	struct ckpt_pack *p = &o->packs[pack];
	cleanup_free struct ckpt_object *objects = NULL;
	cleanup_free uint8_t *index = NULL;
	char named[CKPT_UUID_TEXT];
	struct ckpt_flags flags;
	struct stat st;
	uint64_t at;
	size_t n;

	if (open_pack(o, p) || fstat(p->fd, &st))
		return ckpt_objects_fail_open(errno, err);
	if (st.st_size < CKPT_PACK_HEAD_LEN + CKPT_PACK_TAIL_LEN)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack is cut short");
	if (ckpt_read_at(p->fd, head, sizeof(head), 0) ||
	    ckpt_read_at(p->fd, tail, sizeof(tail), st.st_size - sizeof(tail)))
		return ckpt_fail(err, CKPT_DAMAGED, errno, "it cannot be read");
	if (ckpt_pack_head_decode(head, sizeof(head), uuid, &flags, err) ||
	    ckpt_tail_decode(tail, sizeof(tail), st.st_size, &at, &n, err))
		return -1;
	ckpt_hex(uuid, sizeof(uuid), named);
	if (strncmp(p->name, named, CKPT_UUID_TEXT - 1))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack has the name of another");
	if (st.st_size - at > INDEX_LEN_MAX || !(index = malloc(st.st_size - at)))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for its index");
	if (ckpt_read_at(p->fd, index, st.st_size - at, at))
		return ckpt_fail(err, CKPT_DAMAGED, errno, "its index cannot be read");
	if (ckpt_index_decode(head, index, st.st_size - at, st.st_size, &objects, &n, err))
		return -1;
	p->read_only = flags.ro_compat & ~CKPT_RO_COMPAT_KNOWN;
	/* all or none: a pack that is left out has no trace in the table */
	if (reserve(&o->table, n))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for its index");
	for (size_t i = 0; i < n; i++)
		ckpt_object_table_add(&o->table, &objects[i], pack);
	return 0;
}

static bool known(const struct ckpt_objects *o, const char *name)
{
	for (uint32_t i = 0; i < o->npacks; i++)
		if (!strcmp(o->packs[i].name, name))
			return true;
	return false;
}

static int add_pack(struct ckpt_objects *o, const char *name, struct ckpt_err *err)
{
	struct ckpt_err damage = CKPT_ERR_INIT;
	struct ckpt_pack *p = realloc(o->packs, (o->npacks + 1) * sizeof(*p));

	if (!p)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "no memory for the packs of store '%s'", o->path);
	o->packs = p;
	p += o->npacks++;
	*p = (struct ckpt_pack){ .fd = -1 };
	memcpy(p->name, name, strlen(name));
	if (!load_index(o, o->npacks - 1, &damage))
		return 0;
	if (damage.status == CKPT_FAILED) {
		/* nothing is wrong with the pack: it must be looked at again */
		close_pack(o, p);
		o->npacks--;
		ckpt_fail(err, CKPT_FAILED, 0, "%s", damage.text);
		return ckpt_fail_at(err, "pack '%s' of store '%s'", name, o->path);
	}
	p->damage = strdup(damage.text);
	return p->damage ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "no memory for store '%s'", o->path);
}

int ckpt_objects_refresh(struct ckpt_objects *o, struct ckpt_err *err)
{
	int fd = o->view ? -1 : openat(o->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (o->view)
		return 0;
	if (!d) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot read the packs of store '%s'", o->path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((errno = 0, e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len != CKPT_UUID_TEXT - 1 + 5 || strcmp(e->d_name + len - 5, ".pack") ||
		    known(o, e->d_name))
			continue;
		if (add_pack(o, e->d_name, err))
			return -1;
	}
	return errno ? ckpt_fail(err, CKPT_FAILED, errno, "cannot read the packs of store '%s'",
				 o->path) : 0;
}

/* The next copy of an object; NULL when there is none. */
static const struct ckpt_located *other(const struct ckpt_objects *o, const struct ckpt_located *l)
{
	enum ckpt_object_type type = l->object.type;

	do
		l = ckpt_object_table_next(&o->table, l);
	while (l && l->object.type != type);
	return l;
}

static const char *type_name(enum ckpt_object_type type)
{
	return type == CKPT_OBJECT_BLOCK ? "block" : "map node";
}

static int missing(const struct ckpt_objects *o, const struct ckpt_hash *name,
		   enum ckpt_object_type type, struct ckpt_err *err)
{
	char digits[CKPT_HASH_TEXT];

	ckpt_hex(name->b, CKPT_HASH_LEN, digits);
	for (uint32_t i = 0; i < o->npacks; i++)
		if (o->packs[i].damage)
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "%s %.16s is in no usable pack; pack '%s' is damaged: %s",
					 type_name(type), digits, o->packs[i].name,
					 o->packs[i].damage);
	return ckpt_fail(err, CKPT_DAMAGED, 0, "%s %.16s is in no pack of store '%s'",
			 type_name(type), digits, o->path);
}

int ckpt_objects_find(struct ckpt_objects *o, const struct ckpt_hash *name,
		      enum ckpt_object_type type, const struct ckpt_located **ret,
		      struct ckpt_err *err)
{
	const struct ckpt_located *l = ckpt_object_table_find(&o->table, name);
	char digits[CKPT_HASH_TEXT];

	if (!l) {
		if (ckpt_objects_refresh(o, err))
			return -1;
		l = ckpt_object_table_find(&o->table, name);
	}
	if (!l)
		return missing(o, name, type, err);
	while (l && l->object.type != type)
		l = ckpt_object_table_next(&o->table, l);
	if (!l) {
		ckpt_hex(name->b, CKPT_HASH_LEN, digits);
		return ckpt_fail(err, CKPT_DAMAGED, 0, "%s %.16s is of another type",
				 type_name(type), digits);
	}
	*ret = l;
	return 0;
}

int ckpt_objects_fail_at(const struct ckpt_objects *o, const struct ckpt_located *l,
			 struct ckpt_err *err)
{
	char digits[CKPT_HASH_TEXT];

	ckpt_hex(l->object.hash.b, CKPT_HASH_LEN, digits);
	return ckpt_fail_at(err, "%s %.16s in pack '%s' at byte %llu", type_name(l->object.type),
			    digits, o->packs[l->pack].name,
			    (unsigned long long)l->object.offset);
}

/* Plain bytes, checked. Return: memory that the caller frees, NULL on failure. */
static uint8_t *read_plain(struct ckpt_objects *o, const struct ckpt_located *l,
			   struct ckpt_err *err)
{
	const struct ckpt_stamp *seen = ckpt_whole_find(&o->whole, &l->object.hash);

	if (open_pack(o, &o->packs[l->pack])) {
		ckpt_objects_fail_open(errno, err);
		return NULL;
	}
	if (seen && !o->reader.stamper)
		o->reader.stamper = ckpt_stamper_new(&o->whole.key);
	return ckpt_object_read(&o->reader, o->packs[l->pack].fd, &l->object, seen, err);
}

/* Any copy will do; when none does, what is wrong with the first is told. */
static uint8_t *read_any(struct ckpt_objects *o, const struct ckpt_located *l,
			 size_t *ret_len, struct ckpt_err *err)
{
	const struct ckpt_located *at = l;
	uint8_t *plain = read_plain(o, l, err);

	while (!plain && err->status == CKPT_DAMAGED && (at = other(o, at)))
		plain = read_plain(o, at, NULL);
	if (plain)
		*ret_len = at->object.raw_len;
	return plain;
}

int ckpt_objects_get(struct ckpt_objects *o, const struct ckpt_hash *name,
		     enum ckpt_object_type type, const uint8_t **ret, size_t *ret_len,
		     struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;
	const struct ckpt_located *l;
	const uint8_t *cached;
	uint8_t *plain;
	uint32_t npacks;
	size_t len;

	if (ckpt_objects_find(o, name, type, &l, err))
		return -1;
	cached = type == CKPT_OBJECT_BLOCK ? ckpt_kept_find(&o->kept, name, ret_len) : NULL;
	if (!cached)
		cached = ckpt_cache_find(&o->cache, name, ret_len);
	if (cached) {
		*ret = cached;
		return 0;
	}
	plain = read_any(o, l, &len, &why);
	/* A pack that came since the last look may have a good one; the table has moved then. */
	npacks = o->npacks;
	if (!plain && why.status == CKPT_DAMAGED && !ckpt_objects_refresh(o, NULL) &&
	    o->npacks > npacks) {
		if (ckpt_objects_find(o, name, type, &l, err))
			return -1;
		ckpt_err_clear(&why);
		plain = read_any(o, l, &len, &why);
	}
	if (!plain) {
		if (err)
			*err = why;
		return ckpt_objects_fail_at(o, l, err);
	}
	if (ckpt_cache_add(&o->cache, name, plain, len))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an object");
	*ret = plain;
	*ret_len = len;
	return 0;
}
