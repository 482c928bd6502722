// SPDX-License-Identifier: GPL-2.0-or-later
/* show: what one checkpoint holds. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/cut.h"
#include "report.h"

static const char *const area_kinds[] = {
	[CKPT_AREA_KIND_ANON] = "anonymous",
	[CKPT_AREA_KIND_FILE_PRIVATE] = "file-private",
	[CKPT_AREA_KIND_FILE_SHARED] = "file-shared",
	[CKPT_AREA_KIND_VDSO] = "vdso",
	[CKPT_AREA_KIND_VVAR] = "vvar",
	[CKPT_AREA_KIND_VSYSCALL] = "vsyscall",
	[CKPT_AREA_KIND_URING] = "io_uring",
};

static const char *const file_kinds[] = {
	[CKPT_FILE_REG] = "file",
	[CKPT_FILE_DIR] = "directory",
	[CKPT_FILE_CHR] = "device",
	[CKPT_FILE_PIPE] = "pipe",
	[CKPT_FILE_FIFO] = "fifo",
	[CKPT_FILE_OUTER] = "outer",
	[CKPT_FILE_EVENTFD] = "eventfd",
	[CKPT_FILE_TIMERFD] = "timerfd",
	[CKPT_FILE_SIGNALFD] = "signalfd",
	[CKPT_FILE_EPOLL] = "epoll",
	[CKPT_FILE_SOCKET] = "socket",
	[CKPT_FILE_INOTIFY] = "inotify",
	[CKPT_FILE_PIDFD] = "pidfd",
	[CKPT_FILE_SHM] = "shared memory",
	[CKPT_FILE_URING] = "io_uring",
	[CKPT_FILE_PTM] = "pty master",
	[CKPT_FILE_PTS] = "pty slave",
};

static const char *const task_states[] = { "alive", "stopped", "zombie" };

/* A kind that this document has no word for is an error of this program, and no end of it. */
static const char *name_of(const char *const *names, size_t n, uint32_t kind)
{
	return kind < n && names[kind] ? names[kind] : "unknown";
}

#define NAME_OF(names, kind) name_of(names, sizeof(names) / sizeof(names[0]), kind)

static json_object *area_json(const struct ckpt_image *image, const struct ckpt_area *a)
{
	json_object *doc = json_object_new_object();

	report_u64(doc, "start", a->start);
	report_u64(doc, "end", a->end);
	report_u64(doc, "prot", a->prot);
	report_str(doc, "kind", NAME_OF(area_kinds, a->kind));
	report_path(doc, "path", a->file == CKPT_NONE ? a->name : image->files[a->file].path);
	return doc;
}

static json_object *fd_json(const struct ckpt_image *image, const struct ckpt_fd *fd)
{
	const struct ckpt_file *f = &image->files[fd->file];
	json_object *doc = json_object_new_object();

	report_u64(doc, "fd", fd->fd);
	report_str(doc, "kind", NAME_OF(file_kinds, f->kind));
	report_path(doc, "path", f->path);
	report_u64(doc, "position", f->pos);
	json_object_object_add(doc, "deleted", json_object_new_boolean(f->deleted));
	return doc;
}

static json_object *task_json(const struct ckpt_image *image, const struct ckpt_task *t)
{
	json_object *doc = json_object_new_object();
	json_object *areas = json_object_new_array(), *fds = json_object_new_array();

	report_u64(doc, "pid", t->pid);
	report_u64(doc, "ppid", t->ppid);
	report_str(doc, "comm", t->comm);
	report_str(doc, "state", NAME_OF(task_states, t->state));
	report_u64(doc, "threads", t->n_threads);
	if (t->mm != CKPT_NONE)
		for (size_t i = 0; i < image->mms[t->mm].n_areas; i++)
			json_object_array_add(areas,
					      area_json(image, &image->mms[t->mm].areas[i]));
	if (t->fdtable != CKPT_NONE)
		for (size_t i = 0; i < image->fdtables[t->fdtable].n_fds; i++)
			json_object_array_add(fds,
					      fd_json(image, &image->fdtables[t->fdtable].fds[i]));
	json_object_object_add(doc, "areas", areas);
	json_object_object_add(doc, "fds", fds);
	return doc;
}

static void add_roots(json_object *doc, const struct ckpt_fs_table *table)
{
	cleanup_free const char **paths = calloc(table->n_roots + 1, sizeof(*paths));

	for (size_t i = 0; paths && i < table->n_roots; i++)
		paths[i] = table->roots[i].path;
	report_paths(doc, "roots", paths, paths ? table->n_roots : 0);
}

/* Address spaces of which each stop reads all. */
static uint64_t followed(const struct ckpt_manifest *m)
{
	const struct ckpt_note *note = ckpt_manifest_note(m, CKPT_NOTE_FOLLOWED);

	return note ? strtoull((const char *)note->value, NULL, 10) : 0;
}

static void print_json(const struct ckpt_manifest *m, const struct ckpt_image *image,
		       const struct ckpt_fs_table *table)
{
	json_object *doc = json_object_new_object(), *tasks = json_object_new_array();

	report_str(doc, "name", m->name);
	report_u64(doc, "id", m->id);
	report_u64_or_null(doc, "parent", m->parent);
	report_str(doc, "kind", ckpt_kind_name(m->kind));
	report_str(doc, "tracker", m->tracker);
	report_str(doc, "why", m->why && *m->why ? m->why : NULL);
	report_u64(doc, "time_ns", m->time_ns);
	report_str(doc, "kernel", image->kernel);
	report_u64(doc, "monotonic_ns", image->monotonic_ns);
	for (size_t i = 0; i < image->n_tasks; i++)
		json_object_array_add(tasks, task_json(image, &image->tasks[i]));
	json_object_object_add(doc, "tasks", tasks);
	add_roots(doc, table);
	report_u64(doc, "entries", ckpt_fs_table_count(table));
	report_u64(doc, "followed", followed(m));
	report_json(doc);
}

static void print_text(const struct ckpt_manifest *m, const struct ckpt_image *image,
		       const struct ckpt_fs_table *table)
{
	report_line(stdout, "%s@%" PRIu64 ": %s by %s", m->name, m->id, ckpt_kind_name(m->kind),
		    m->tracker);
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		report_line(stdout, "  task %d (%s), parent %d, %zu threads%s", t->pid, t->comm,
			    t->ppid, t->n_threads,
			    t->state == CKPT_TASK_ZOMBIE ? ", zombie" : "");
	}
	for (size_t i = 0; i < table->n_roots; i++)
		report_line(stdout, "  root %s", table->roots[i].path);
	report_line(stdout, "  %zu entries in the roots, %zu open files, %zu pipes",
		    ckpt_fs_table_count(table), image->n_files, image->n_pipes);
	if (followed(m))
		report_line(stdout, "  drivers follow %" PRIu64 " address spaces: each stop reads "
			    "all of their memory", followed(m));
}

static int show(struct ckpt_reader *reader, bool json, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf tasks = CKPT_BUF_INIT, roots = CKPT_BUF_INIT;
	cleanup_with(ckpt_image_done) struct ckpt_image image = { 0 };
	cleanup_fs_table struct ckpt_fs_table *table = NULL;
	struct ckpt_source source = ckpt_reader_source(reader);

	if (ckpt_reader_blob(reader, CKPT_BLOB_TASKS, &tasks, err) ||
	    ckpt_reader_blob(reader, CKPT_BLOB_ROOTS, &roots, err) ||
	    ckpt_image_decode(tasks.data, tasks.len, &image, err) ||
	    ckpt_fs_table_load(&source, roots.data, roots.len, &table, err))
		return err->status;
	(json ? print_json : print_text)(ckpt_reader_manifest(reader), &image, table);
	return CKPT_OK;
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	struct ckpt_reader *reader = NULL;
	struct ckpt_store *store;
	struct common common;
	char name[64];
	int64_t which;
	int status;

	if (!parse_plain(&cmd_show, argc, argv, 1, false, &common, &status, err))
		return status;
	if (parse_name(argv[optind], name, &which, err))
		return err->status;
	store = ckpt_store_open(common.store, CKPT_STORE_READ, err);
	if (store)
		reader = ckpt_reader_open(store, name, which, err);
	status = reader ? show(reader, common.json, err) : (int)err->status;
	ckpt_reader_close(reader);
	ckpt_store_close(store);
	return status;
}

const struct cmd cmd_show = {
	.name = "show",
	.args = "NAME[@ID|@-N]",
	.what = "what a checkpoint holds: tasks, areas, descriptors, roots",
	.help = "",
	.run = run,
};
