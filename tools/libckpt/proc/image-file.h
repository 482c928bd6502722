/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Open files of a process image, and what they lead to
 */
#ifndef CKPT_PROC_IMAGE_FILE_H
#define CKPT_PROC_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

#define CKPT_NONE UINT32_MAX	/* index: there is none */

enum ckpt_file_kind {
	CKPT_FILE_REG,
	CKPT_FILE_DIR,
	CKPT_FILE_CHR,		/* /dev/null, zero, full, random, urandom alone */
	CKPT_FILE_PIPE,		/* an end of image->pipes[pipe] */
	CKPT_FILE_FIFO,		/* a named one, opened by path */
	CKPT_FILE_OUTER,	/* leads out of the tree; fds 0-2 alone: restore gives its own */
	CKPT_FILE_EVENTFD,	/* image->eventfds[object], and so on */
	CKPT_FILE_TIMERFD,
	CKPT_FILE_SIGNALFD,
	CKPT_FILE_EPOLL,
	CKPT_FILE_SOCKET,
	CKPT_FILE_INOTIFY,
	CKPT_FILE_PIDFD,
	CKPT_FILE_SHM,		/* image->shms[object]: a descriptor or a mapping of it */
	CKPT_FILE_URING = 16,
	CKPT_FILE_PTM,		/* master of image->ptys[object], a pseudo terminal */
	CKPT_FILE_PTS,		/* a slave of it: /dev/pts/N, or /dev/tty */
	CKPT_FILE_PROC = 21,	/* of procfs: of a process of the tree, a setting, a namespace */
};

/**
 * struct ckpt_file - an open file description, or a file that is only mapped
 *
 * Two descriptors with the same index share position and flags.
 *
 * @kind: enum ckpt_file_kind
 * @path: absolute path in the group's mount namespace; NULL for what has no name
 * @flags: open(2) flags as in fdinfo, O_CLOEXEC never in it
 * @pos: position, bytes
 * @dev, @ino, @mode, @size, @mtime_ns, @ctime_ns, @uid, @gid: as seen at capture
 * @ctime_ns: likewise; not stored
 * @deleted: no link leads to it; its content is in @space
 * @writable: somebody can write it: fd with write mode or MAP_SHARED+MAYWRITE
 * @space: content of a deleted file or of one outside the roots; flow fills it; 0 none
 * @pipe: index in image->pipes
 * @pipe_write: which end
 * @object: index of what the descriptor is in the list of its kind
 * @owner_*: F_GETOWN_EX type/pid and F_GETSIG, 0 when unset; who has set that (F_GETOWNER_UIDS),
 *	with whose rights the signals are sent
 * @capture_pid, @capture_fd: where flow can reach it while stopped; not stored;
 *	fd -1: through /proc/PID/map_files at @capture_start, where that is
 */
struct ckpt_file {
	uint32_t kind;
	char *path;
	uint32_t flags;
	uint64_t pos;
	uint64_t dev, ino;
	uint32_t mode;
	uint64_t rdev;
	uint64_t size;
	int64_t mtime_ns, ctime_ns;
	uint32_t uid, gid;
	bool deleted;
	bool writable;
	uint32_t space;
	uint32_t pipe;
	bool pipe_write;
	uint32_t object;
	int32_t owner_type, owner_pid, owner_sig;
	uint32_t owner_uid, owner_euid;
	int32_t capture_pid, capture_fd;
	uint64_t capture_start, capture_end;
};

/**
 * struct ckpt_pipe - a pipe with what is in it
 * @ino: identity at capture
 * @capacity: F_GETPIPE_SZ, bytes
 * @data: unread bytes
 * @uid, @gid: owner
 */
struct ckpt_pipe {
	uint64_t ino;
	uint32_t capacity;
	uint8_t *data;
	size_t len;
	uint32_t uid, gid;
};

/**
 * struct ckpt_eventfd - a counter
 * @count: what was added and not read yet
 * @semaphore: a read takes one (EFD_SEMAPHORE)
 * @unsure: the kernel did not tell the latter; not stored
 */
struct ckpt_eventfd {
	uint64_t count;
	bool semaphore;
	bool unsure;
};

/**
 * struct ckpt_timerfd - a timer that is read
 * @clock: CLOCK_*
 * @flags: those of timerfd_settime
 * @ticks: expirations not read yet
 * @value_ns: until the next one; 0: it is not armed
 * @interval_ns: between two
 */
struct ckpt_timerfd {
	uint32_t clock;
	uint32_t flags;
	uint64_t ticks;
	int64_t value_ns, interval_ns;
};

/* It expires at a time of day, not after a time. */
static inline bool ckpt_timerfd_of_day(const struct ckpt_timerfd *t)
{
	return t->flags & TFD_TIMER_ABSTIME &&
	       (t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM);
}

/* Signals that are read; @mask has a bit for each. */
struct ckpt_signalfd {
	uint64_t mask;
};

/**
 * struct ckpt_epoll_target - a descriptor that an epoll watches
 * @fd: its number when it was added, by which it is changed and removed
 * @events: EPOLL*; none but flags: a one-shot that has fired
 * @data: as epoll_ctl was given it
 * @file: index in image->files
 */
struct ckpt_epoll_target {
	int32_t fd;
	uint32_t events;
	uint64_t data;
	uint32_t file;
};

struct ckpt_epoll {
	struct ckpt_epoll_target *targets;
	size_t n_targets;
};

/**
 * struct ckpt_watch - a file or directory that an inotify watches
 * @wd: its number there
 * @mask: IN_*, with IN_ONESHOT and IN_EXCL_UNLINK
 * @path: a name of it, whose last part is no link to follow
 * @dir: it is a directory
 */
struct ckpt_watch {
	int32_t wd;
	uint32_t mask;
	char *path;
	bool dir;
};

/**
 * struct ckpt_watch_event - an event that was not read
 * @wd: number of its watch, which may be gone
 * @mask: one of IN_*, with IN_ISDIR
 * @cookie: of a move, else 0; two have the same when they are of the same move
 * @name: what it happened to in a directory, or NULL: to what is watched
 */
struct ckpt_watch_event {
	int32_t wd;
	uint32_t mask, cookie;
	char *name;
};

/* @watches: by rising number; @events: in the order in which they are read. */
struct ckpt_inotify {
	struct ckpt_watch *watches;
	size_t n_watches;
	struct ckpt_watch_event *events;
	size_t n_events;
};

/**
 * struct ckpt_pidfd - a process, or a thread of one, that a descriptor leads to
 * @pid: in the tree; 0: it is gone, and has been waited for
 * @exit_code: of one that is gone, as wait status; 0 where the kernel did not tell it
 */
struct ckpt_pidfd {
	int32_t pid;
	int32_t exit_code;
};

enum ckpt_lock_kind {
	CKPT_LOCK_FLOCK = 0,	/* flock(2): of the open file description, all of the file */
	CKPT_LOCK_POSIX = 1,	/* fcntl(2) F_SETLK: of a process */
	CKPT_LOCK_OFD = 2,	/* F_OFD_SETLK: of the open file description */
	CKPT_LOCK_LEASE = 3,	/* F_SETLEASE: likewise, all of the file */
};

/**
 * struct ckpt_lock - a lock that is held on a file
 * @kind: enum ckpt_lock_kind
 * @write: exclusive
 * @file: index in image->files: what it was made through
 * @pid: of the process that owns it, or of one that has the description and makes it
 * @start, @end: first and last byte; INT64_MAX: to the end, wherever that is
 * @setter: host pid of who made it (flock and leases), 0: nobody knows; not stored
 */
struct ckpt_lock {
	uint32_t kind;
	bool write;
	uint32_t file;
	int32_t pid;
	uint64_t start, end;
	int32_t setter;
};

#define CKPT_TERMIOS_LEN 44	/* bytes of a struct termios2 */

#define CKPT_PTY_F_LOCKED	(1u << 0)	/* the slave cannot be opened (TIOCSPTLCK) */
#define CKPT_PTY_F_PACKET	(1u << 1)	/* TIOCPKT */
#define CKPT_PTY_F_MASTER_EXCL	(1u << 2)	/* TIOCEXCL, on either side */
#define CKPT_PTY_F_SLAVE_EXCL	(1u << 3)
#define CKPT_PTY_F_HUNG_UP	(1u << 4)	/* the master is closed: nothing else is known */
#define CKPT_PTY_F_LEFT		(1u << 5)	/* the slave was open, and nobody has it now */
#define CKPT_PTY_F_QUOTED	(1u << 6)	/* ^V: the next byte of input is as it is */
#define CKPT_PTY_F_STOPPED	(1u << 7)	/* no output: by ^S; with the next, tcflow */
#define CKPT_PTY_F_TCO_STOPPED	(1u << 8)
#define CKPT_PTY_F_ALL		((1u << 9) - 1)

/**
 * struct ckpt_pty - a pseudo terminal with what is in it
 * @number: N of /dev/pts/N
 * @flags: CKPT_PTY_F_*
 * @mode, @uid, @gid: of its node; @mode without the type
 * @termios: struct termios2 of the slave
 * @winsize: rows, columns, and in pixels
 * @input: what waits for a reader of the slave; @taken: the part that its line discipline has
 *	taken in, the rest is as it was written; @ends: with which bytes of it lines end
 * @output: what waits for a reader of the master
 */
struct ckpt_pty {
	uint32_t number;
	uint32_t flags;
	uint32_t mode, uid, gid;
	uint8_t termios[CKPT_TERMIOS_LEN];
	uint16_t winsize[4];
	uint8_t *input;
	size_t input_len;
	uint32_t taken;
	uint16_t *ends;
	size_t n_ends;
	uint8_t *output;
	size_t output_len;
};

/**
 * struct ckpt_uring - an io_uring with nothing under way
 * @sq_entries, @cq_entries: requests and completions that it has room for, powers of two
 * @no_array: requests are taken as they stand in memory (IORING_SETUP_NO_SQARRAY)
 * @spread: heads and tails are in cache lines of their own, as on 6.1
 * @ring: its memory as shared with the kernel: counters, completions, array of requests
 * @sqes: the requests
 */
struct ckpt_uring {
	uint32_t sq_entries, cq_entries;
	bool no_array, spread;
	uint8_t *ring;
	size_t ring_len;
	uint8_t *sqes;
	size_t sqes_len;
};

/**
 * struct ckpt_socket_option - an option of a socket, as getsockopt gives it
 * @level: SOL_*
 * @name: SO_*
 */
struct ckpt_socket_option {
	uint32_t level, name;
	uint8_t *value;
	size_t len;
};

/**
 * struct ckpt_socket - a socket, one for each file of its kind
 * @family: AF_*
 * @type: SOCK_*
 * @options: in the order in which they are set
 * @part: index of what else is known of it in the list of its family
 */
struct ckpt_socket {
	uint32_t family, type, protocol;
	struct ckpt_socket_option *options;
	size_t n_options;
	uint32_t part;
};

enum ckpt_unix_state {
	CKPT_UNIX_ALONE,
	CKPT_UNIX_LISTENS,
	CKPT_UNIX_CONNECTED,	/* to @peer, or to one that is closed */
};

/**
 * struct ckpt_unix_message - what waits in a Unix socket, in one piece
 * @data: of a stream, all up to what came with descriptors
 * @files: descriptors that come with it, as indices in image->files
 * @sender: index in image->unixes; CKPT_NONE: the peer, also one that is closed
 */
struct ckpt_unix_message {
	uint8_t *data;
	size_t len;
	uint32_t *files;
	size_t n_files;
	uint32_t sender;
};

/**
 * struct ckpt_unix_waiting - a connection that nobody has accepted yet
 * @client: index in image->unixes of who has connected; CKPT_NONE: it is closed
 * @shutdown: of the end that accept will give
 * @pid, @uid, @gid, @groups: which that one will show as its peer's; @pid as the tree calls it
 * @messages: that wait in it, without files; of a stream one at most
 * @ino: of the client at capture; not stored
 * @maker: pid of who listens, from where those above come; not stored
 */
struct ckpt_unix_waiting {
	uint32_t client;
	uint32_t shutdown;
	int32_t pid;
	uint32_t uid, gid;
	uint32_t *groups;
	size_t n_groups;
	struct ckpt_unix_message *messages;
	size_t n_messages;
	uint64_t ino;
	int32_t maker;
};

/**
 * struct ckpt_unix - a Unix socket
 * @state: enum ckpt_unix_state
 * @peer: index in image->unixes, or CKPT_NONE
 * @failed: that the other end was closed with something unread is not told yet
 * @shutdown: 1: for reading, 2: for writing; of a stream also what its end's peer did
 * @backlog: as listen was told
 * @name, @peer_name: sun_path as the kernel keeps it, 0 bytes: none; of a closed peer
 * @peer_known: the five after it are those that SO_PEERCRED and SO_PEERGROUPS show
 * @peer_pid: in the tree's pid namespace
 * @path: where its file is, NULL: it has none (any more); with owner, mode and time of it
 * @waiting: in one that listens, the next one to be accepted first
 * @ino, @peer_ino: at capture; not stored
 * @refused: at capture, for a survey: it was, and more of it is not known; not stored
 */
struct ckpt_unix {
	uint32_t state;
	uint32_t peer;
	bool failed;
	uint32_t shutdown;
	uint32_t backlog;
	uint8_t *name;
	size_t name_len;
	uint8_t *peer_name;
	size_t peer_name_len;
	bool peer_known;
	int32_t peer_pid;
	uint32_t peer_uid, peer_gid;
	uint32_t *peer_groups;
	size_t n_peer_groups;
	char *path;
	uint32_t path_uid, path_gid, path_mode;
	int64_t path_mtime_ns;
	struct ckpt_unix_message *messages;
	size_t n_messages;
	struct ckpt_unix_waiting *waiting;
	size_t n_waiting;
	uint64_t ino, peer_ino;
	bool refused;
};

enum ckpt_tcp_state {
	CKPT_TCP_FREE,		/* never connected; bound or not */
	CKPT_TCP_LISTENS,
	CKPT_TCP_CONNECTED,	/* with another one of the tree */
	CKPT_TCP_ALONE,		/* the other end is outside, or is gone */
	CKPT_TCP_CONNECTING,	/* to somebody who has not answered */
};

/* What a connection has seen, and what was agreed when it was made. */
#define CKPT_TCP_F_SENT_END	(1u << 0)	/* it has said that it writes no more */
#define CKPT_TCP_F_GOT_END	(1u << 1)	/* the other end has; all it wrote is here */
#define CKPT_TCP_F_DEAF		(1u << 2)	/* shut down for reading */
#define CKPT_TCP_F_RESET	(1u << 3)	/* alone: after what is unread, it is reset */
#define CKPT_TCP_F_TIMESTAMPS	(1u << 4)
#define CKPT_TCP_F_SACK		(1u << 5)
#define CKPT_TCP_F_WSCALE	(1u << 6)
#define CKPT_TCP_F_KNOWN	(1u << 7)	/* alone: what it takes to go on is recorded */

/**
 * struct ckpt_tcp - what there is to a TCP socket beside its options
 * @state: enum ckpt_tcp_state
 * @flags: CKPT_TCP_F_*
 * @local, @remote: as getsockname and getpeername give them; empty: there is none
 * @backlog: of one that listens
 * @peer: index of the other end in image->tcps, or CKPT_NONE
 * @mss: largest segment to send, without options
 * @scale_out, @scale_in: of the windows of the other end and of its own
 * @unread: what came and was not read
 * @unsent: what was written and has not come to the other end; of one that is alone: that is not
 *	acknowledged
 * @out, @in: of one that is known, sequence numbers of the first byte of @unsent, and of the next
 *	one that is to come
 * @n_sent: so many bytes of @unsent were sent before
 * @out_wl1, @out_window, @out_window_max, @in_window, @in_wup: windows, as struct
 *	tcp_repair_window has them
 * @clock: what it tells the other end as its time
 * @file: index in image->files at capture; not stored
 */
struct ckpt_tcp {
	uint32_t state, flags;
	uint8_t *local;
	size_t local_len;
	uint8_t *remote;
	size_t remote_len;
	uint32_t backlog;
	uint32_t peer;
	uint32_t mss, scale_out, scale_in;
	uint8_t *unread;
	size_t n_unread;
	uint8_t *unsent;
	size_t n_unsent;
	uint32_t out, in, n_sent;
	uint32_t out_wl1, out_window, out_window_max, in_window, in_wup;
	uint32_t clock;
	uint32_t file;
};

/**
 * struct ckpt_datagram - one that waits to be read
 * @from: its sender, as recvfrom gives it
 */
struct ckpt_datagram {
	uint8_t *from;
	size_t from_len;
	uint8_t *data;
	size_t len;
};

/**
 * struct ckpt_multicast - a group that a socket has joined
 * @interface: its name
 * @group: an address without a port
 * @excludes: it hears all but its sources, else only them
 * @sources: addresses; of IPv4 the first four bytes
 */
struct ckpt_multicast {
	char *interface;
	uint8_t *group;
	size_t group_len;
	bool excludes;
	uint8_t (*sources)[16];
	size_t n_sources;
};

/**
 * struct ckpt_udp - what there is to a UDP socket beside its options
 * @local, @remote: as getsockname and getpeername give them; empty: there is none
 * @shutdown: 1: for reading, 3: for writing, too
 */
struct ckpt_udp {
	uint8_t *local;
	size_t local_len;
	uint8_t *remote;
	size_t remote_len;
	uint32_t shutdown;
	struct ckpt_multicast *groups;
	size_t n_groups;
	struct ckpt_datagram *datagrams;
	size_t n_datagrams;
};

/**
 * struct ckpt_nlsock - what there is to a netlink socket beside its options
 * @port: its number, 0: none yet
 * @peer_port, @peer_groups: whom it is connected with; 0: the kernel
 * @groups: it is in, a bit for each from 1 on
 */
struct ckpt_nlsock {
	uint32_t port, peer_port, peer_groups;
	uint32_t *groups;
	size_t n_groups;
};

struct ckpt_fd {
	int32_t fd;
	bool cloexec;
	uint32_t file;
};

enum ckpt_shm_kind {
	CKPT_SHM_MEMFD = 0,
	CKPT_SHM_ANON = 1,	/* a shared anonymous mapping */
	CKPT_SHM_SYSV = 2,	/* a System V segment */
};

#define CKPT_SHM_NAME_MAX 249	/* bytes of a memfd's name */
#define CKPT_SHM_SEALS 0x3fu	/* those that are known */

/**
 * struct ckpt_shm - memory that a file system of the kernel holds, without a name there
 * @kind: enum ckpt_shm_kind
 * @name: of a memfd, as it was made; else NULL
 * @dev, @ino: identity at capture
 * @size: bytes
 * @space: its content; flow fills it
 * @mode, @uid, @gid: of the inode; of a segment those that IPC_SET changes
 * @mtime_ns: of a memfd
 * @seals: of a memfd, F_SEAL_*
 * @noreserve: of an anonymous one: mapped with MAP_NORESERVE
 * @id, @key, @cuid, @cgid: of a segment; @key is that it was made with
 * @doomed: a segment that goes when nobody has it attached (IPC_RMID)
 */
struct ckpt_shm {
	uint32_t kind;
	char *name;
	uint64_t dev, ino;
	uint64_t size;
	uint32_t space;
	uint32_t mode, uid, gid;
	int64_t mtime_ns;
	uint32_t seals;
	bool noreserve;
	int32_t id, key;
	uint32_t cuid, cgid;
	bool doomed;
};

/* A descriptor table; tasks with the same index share it (CLONE_FILES). */
struct ckpt_fdtable {
	struct ckpt_fd *fds;
	size_t n_fds;
};

#endif
