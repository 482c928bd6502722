// SPDX-License-Identifier: GPL-2.0-or-later
/* Shape of the image. */
#include "proc/image-shapes.h"
#include "proc/image.h"

static const struct ckpt_field area_fields[] = {
	UINT(1, ckpt_area, start),
	UINT(2, ckpt_area, end),
	UINT(3, ckpt_area, prot),
	UINT(4, ckpt_area, flags),
	UINT(5, ckpt_area, kind),
	UINT(6, ckpt_area, pgoff),
	UINT(7, ckpt_area, file),
	STR(8, ckpt_area, name),
};
static const struct ckpt_shape area_shape = SHAPE(ckpt_area, area_fields);

static const struct ckpt_field guard_fields[] = {
	UINT(1, ckpt_guard, start),
	UINT(2, ckpt_guard, end),
};
static const struct ckpt_shape guard_shape = SHAPE(ckpt_guard, guard_fields);

static const struct ckpt_field mm_fields[] = {
	UINT(1, ckpt_mm, space),
	BYTES(2, ckpt_mm, layout),
	BLOB(3, ckpt_mm, auxv, auxv_len),
	UINT(4, ckpt_mm, exe),
	LIST(5, ckpt_mm, areas, n_areas, area_shape),
	BOOL(6, ckpt_mm, thp_disabled),
	UINT(7, ckpt_mm, membarrier),
	LATER_UINT(8, ckpt_mm, coredump_filter),
	LIST(9, ckpt_mm, guards, n_guards, guard_shape),
};
static const struct ckpt_shape mm_shape = SHAPE(ckpt_mm, mm_fields);

static const struct ckpt_field file_fields[] = {
	UINT(1, ckpt_file, kind),
	STR(2, ckpt_file, path),
	UINT(3, ckpt_file, flags),
	UINT(4, ckpt_file, pos),
	UINT(5, ckpt_file, dev),
	UINT(6, ckpt_file, ino),
	UINT(7, ckpt_file, mode),
	UINT(8, ckpt_file, rdev),
	UINT(9, ckpt_file, size),
	INT(10, ckpt_file, mtime_ns),
	BOOL(11, ckpt_file, deleted),
	BOOL(12, ckpt_file, writable),
	UINT(13, ckpt_file, space),
	UINT(14, ckpt_file, pipe),
	BOOL(15, ckpt_file, pipe_write),
	INT(16, ckpt_file, owner_type),
	INT(17, ckpt_file, owner_pid),
	INT(18, ckpt_file, owner_sig),
	LATER_UINT(19, ckpt_file, uid),
	LATER_UINT(20, ckpt_file, gid),
	LATER_UINT(21, ckpt_file, object),
	LATER_UINT(22, ckpt_file, owner_uid),
	LATER_UINT(23, ckpt_file, owner_euid),
};
static const struct ckpt_shape file_shape = SHAPE(ckpt_file, file_fields);

static const struct ckpt_field pipe_fields[] = {
	UINT(1, ckpt_pipe, ino),
	UINT(2, ckpt_pipe, capacity),
	BLOB(3, ckpt_pipe, data, len),
	UINT(4, ckpt_pipe, uid),
	UINT(5, ckpt_pipe, gid),
};
static const struct ckpt_shape pipe_shape = SHAPE(ckpt_pipe, pipe_fields);

static const struct ckpt_field eventfd_fields[] = {
	UINT(1, ckpt_eventfd, count),
	BOOL(2, ckpt_eventfd, semaphore),
};
static const struct ckpt_shape eventfd_shape = SHAPE(ckpt_eventfd, eventfd_fields);

static const struct ckpt_field timerfd_fields[] = {
	UINT(1, ckpt_timerfd, clock),
	UINT(2, ckpt_timerfd, flags),
	UINT(3, ckpt_timerfd, ticks),
	INT(4, ckpt_timerfd, value_ns),
	INT(5, ckpt_timerfd, interval_ns),
};
static const struct ckpt_shape timerfd_shape = SHAPE(ckpt_timerfd, timerfd_fields);

static const struct ckpt_field signalfd_fields[] = {
	UINT(1, ckpt_signalfd, mask),
};
static const struct ckpt_shape signalfd_shape = SHAPE(ckpt_signalfd, signalfd_fields);

static const struct ckpt_field epoll_target_fields[] = {
	INT(1, ckpt_epoll_target, fd),
	UINT(2, ckpt_epoll_target, events),
	UINT(3, ckpt_epoll_target, data),
	UINT(4, ckpt_epoll_target, file),
};
static const struct ckpt_shape epoll_target_shape = SHAPE(ckpt_epoll_target, epoll_target_fields);

static const struct ckpt_field epoll_fields[] = {
	LIST(1, ckpt_epoll, targets, n_targets, epoll_target_shape),
};
static const struct ckpt_shape epoll_shape = SHAPE(ckpt_epoll, epoll_fields);

static const struct ckpt_field watch_fields[] = {
	INT(1, ckpt_watch, wd),
	UINT(2, ckpt_watch, mask),
	STR(3, ckpt_watch, path),
	BOOL(4, ckpt_watch, dir),
};
static const struct ckpt_shape watch_shape = SHAPE(ckpt_watch, watch_fields);

static const struct ckpt_field watch_event_fields[] = {
	INT(1, ckpt_watch_event, wd),
	UINT(2, ckpt_watch_event, mask),
	UINT(3, ckpt_watch_event, cookie),
	STR(4, ckpt_watch_event, name),
};
static const struct ckpt_shape watch_event_shape = SHAPE(ckpt_watch_event, watch_event_fields);

static const struct ckpt_field inotify_fields[] = {
	LIST(1, ckpt_inotify, watches, n_watches, watch_shape),
	LIST(2, ckpt_inotify, events, n_events, watch_event_shape),
};
static const struct ckpt_shape inotify_shape = SHAPE(ckpt_inotify, inotify_fields);

static const struct ckpt_field pidfd_fields[] = {
	INT(1, ckpt_pidfd, pid),
	INT(2, ckpt_pidfd, exit_code),
};
static const struct ckpt_shape pidfd_shape = SHAPE(ckpt_pidfd, pidfd_fields);

static const struct ckpt_field pty_fields[] = {
	UINT(1, ckpt_pty, number),
	UINT(2, ckpt_pty, flags),
	UINT(3, ckpt_pty, mode),
	UINT(4, ckpt_pty, uid),
	UINT(5, ckpt_pty, gid),
	BYTES(6, ckpt_pty, termios),
	BYTES(7, ckpt_pty, winsize),
	LATER_BLOB(8, ckpt_pty, input, input_len),
	LATER_UINT(9, ckpt_pty, taken),
	LATER_BLOB(10, ckpt_pty, ends, n_ends),
	LATER_BLOB(11, ckpt_pty, output, output_len),
};
static const struct ckpt_shape pty_shape = SHAPE(ckpt_pty, pty_fields);

static const struct ckpt_field uring_fields[] = {
	UINT(1, ckpt_uring, sq_entries),
	UINT(2, ckpt_uring, cq_entries),
	BOOL(3, ckpt_uring, no_array),
	BLOB(4, ckpt_uring, ring, ring_len),
	BLOB(5, ckpt_uring, sqes, sqes_len),
	LATER_BOOL(6, ckpt_uring, spread),
};
static const struct ckpt_shape uring_shape = SHAPE(ckpt_uring, uring_fields);

static const struct ckpt_field socket_option_fields[] = {
	UINT(1, ckpt_socket_option, level),
	UINT(2, ckpt_socket_option, name),
	BLOB(3, ckpt_socket_option, value, len),
};
static const struct ckpt_shape socket_option_shape =
	SHAPE(ckpt_socket_option, socket_option_fields);

static const struct ckpt_field socket_fields[] = {
	UINT(1, ckpt_socket, family),
	UINT(2, ckpt_socket, type),
	UINT(3, ckpt_socket, protocol),
	LIST(4, ckpt_socket, options, n_options, socket_option_shape),
	UINT(5, ckpt_socket, part),
};
static const struct ckpt_shape socket_shape = SHAPE(ckpt_socket, socket_fields);

static const struct ckpt_field unix_message_fields[] = {
	BLOB(1, ckpt_unix_message, data, len),
	BLOB(2, ckpt_unix_message, files, n_files),
	UINT(3, ckpt_unix_message, sender),
};
static const struct ckpt_shape unix_message_shape = SHAPE(ckpt_unix_message, unix_message_fields);

static const struct ckpt_field unix_waiting_fields[] = {
	UINT(1, ckpt_unix_waiting, client),
	UINT(2, ckpt_unix_waiting, shutdown),
	INT(3, ckpt_unix_waiting, pid),
	UINT(4, ckpt_unix_waiting, uid),
	UINT(5, ckpt_unix_waiting, gid),
	BLOB(6, ckpt_unix_waiting, groups, n_groups),
	LIST(7, ckpt_unix_waiting, messages, n_messages, unix_message_shape),
};
static const struct ckpt_shape unix_waiting_shape = SHAPE(ckpt_unix_waiting, unix_waiting_fields);

static const struct ckpt_field unix_fields[] = {
	UINT(1, ckpt_unix, state),
	UINT(2, ckpt_unix, peer),
	BOOL(3, ckpt_unix, failed),
	UINT(4, ckpt_unix, shutdown),
	UINT(5, ckpt_unix, backlog),
	BLOB(6, ckpt_unix, name, name_len),
	BLOB(7, ckpt_unix, peer_name, peer_name_len),
	BOOL(8, ckpt_unix, peer_known),
	INT(9, ckpt_unix, peer_pid),
	UINT(10, ckpt_unix, peer_uid),
	UINT(11, ckpt_unix, peer_gid),
	BLOB(12, ckpt_unix, peer_groups, n_peer_groups),
	STR(13, ckpt_unix, path),
	UINT(14, ckpt_unix, path_uid),
	UINT(15, ckpt_unix, path_gid),
	UINT(16, ckpt_unix, path_mode),
	INT(17, ckpt_unix, path_mtime_ns),
	LIST(18, ckpt_unix, messages, n_messages, unix_message_shape),
	LIST(19, ckpt_unix, waiting, n_waiting, unix_waiting_shape),
};
static const struct ckpt_shape unix_shape = SHAPE(ckpt_unix, unix_fields);

static const struct ckpt_field shm_fields[] = {
	UINT(1, ckpt_shm, kind),
	STR(2, ckpt_shm, name),
	UINT(3, ckpt_shm, dev),
	UINT(4, ckpt_shm, ino),
	UINT(5, ckpt_shm, size),
	UINT(6, ckpt_shm, space),
	UINT(7, ckpt_shm, mode),
	UINT(8, ckpt_shm, uid),
	UINT(9, ckpt_shm, gid),
	INT(10, ckpt_shm, mtime_ns),
	UINT(11, ckpt_shm, seals),
	BOOL(12, ckpt_shm, noreserve),
	INT(13, ckpt_shm, id),
	INT(14, ckpt_shm, key),
	UINT(15, ckpt_shm, cuid),
	UINT(16, ckpt_shm, cgid),
	BOOL(17, ckpt_shm, doomed),
};
static const struct ckpt_shape shm_shape = SHAPE(ckpt_shm, shm_fields);

static const struct ckpt_field tcp_fields[] = {
	UINT(1, ckpt_tcp, state),
	UINT(2, ckpt_tcp, flags),
	BLOB(3, ckpt_tcp, local, local_len),
	BLOB(4, ckpt_tcp, remote, remote_len),
	UINT(5, ckpt_tcp, backlog),
	UINT(6, ckpt_tcp, peer),
	UINT(7, ckpt_tcp, mss),
	UINT(8, ckpt_tcp, scale_out),
	UINT(9, ckpt_tcp, scale_in),
	BLOB(10, ckpt_tcp, unread, n_unread),
	BLOB(11, ckpt_tcp, unsent, n_unsent),
	LATER_UINT(12, ckpt_tcp, out),
	LATER_UINT(13, ckpt_tcp, in),
	LATER_UINT(14, ckpt_tcp, n_sent),
	LATER_UINT(15, ckpt_tcp, out_wl1),
	LATER_UINT(16, ckpt_tcp, out_window),
	LATER_UINT(17, ckpt_tcp, out_window_max),
	LATER_UINT(18, ckpt_tcp, in_window),
	LATER_UINT(19, ckpt_tcp, in_wup),
	LATER_UINT(20, ckpt_tcp, clock),
};
static const struct ckpt_shape tcp_shape = SHAPE(ckpt_tcp, tcp_fields);

static const struct ckpt_field multicast_fields[] = {
	STR(1, ckpt_multicast, interface),
	BLOB(2, ckpt_multicast, group, group_len),
	BOOL(3, ckpt_multicast, excludes),
	BLOB(4, ckpt_multicast, sources, n_sources),
};
static const struct ckpt_shape multicast_shape = SHAPE(ckpt_multicast, multicast_fields);

static const struct ckpt_field datagram_fields[] = {
	BLOB(1, ckpt_datagram, from, from_len),
	BLOB(2, ckpt_datagram, data, len),
};
static const struct ckpt_shape datagram_shape = SHAPE(ckpt_datagram, datagram_fields);

static const struct ckpt_field udp_fields[] = {
	BLOB(1, ckpt_udp, local, local_len),
	BLOB(2, ckpt_udp, remote, remote_len),
	UINT(3, ckpt_udp, shutdown),
	LIST(4, ckpt_udp, groups, n_groups, multicast_shape),
	LIST(5, ckpt_udp, datagrams, n_datagrams, datagram_shape),
};
static const struct ckpt_shape udp_shape = SHAPE(ckpt_udp, udp_fields);

static const struct ckpt_field nlsock_fields[] = {
	UINT(1, ckpt_nlsock, port),
	UINT(2, ckpt_nlsock, peer_port),
	UINT(3, ckpt_nlsock, peer_groups),
	BLOB(4, ckpt_nlsock, groups, n_groups),
};
static const struct ckpt_shape nlsock_shape = SHAPE(ckpt_nlsock, nlsock_fields);

static const struct ckpt_field fd_fields[] = {
	INT(1, ckpt_fd, fd),
	BOOL(2, ckpt_fd, cloexec),
	UINT(3, ckpt_fd, file),
};
static const struct ckpt_shape fd_shape = SHAPE(ckpt_fd, fd_fields);

static const struct ckpt_field fdtable_fields[] = {
	LIST(1, ckpt_fdtable, fds, n_fds, fd_shape),
};
static const struct ckpt_shape fdtable_shape = SHAPE(ckpt_fdtable, fdtable_fields);

static const struct ckpt_field lock_fields[] = {
	UINT(1, ckpt_lock, kind),
	BOOL(2, ckpt_lock, write),
	UINT(3, ckpt_lock, file),
	INT(4, ckpt_lock, pid),
	UINT(5, ckpt_lock, start),
	UINT(6, ckpt_lock, end),
};
static const struct ckpt_shape lock_shape = SHAPE(ckpt_lock, lock_fields);

static const struct ckpt_field filter_fields[] = {
	BLOB(1, ckpt_filter, insns, n_insns),
	UINT(2, ckpt_filter, flags),
};
static const struct ckpt_shape filter_shape = SHAPE(ckpt_filter, filter_fields);

static const struct ckpt_field thread_fields[] = {
	INT(1, ckpt_thread, tid),
	BYTES(2, ckpt_thread, comm),
	BYTES(3, ckpt_thread, regs),
	BLOB(4, ckpt_thread, xstate, xstate_len),
	UINT(5, ckpt_thread, sigmask),
	BLOB(6, ckpt_thread, pending, n_pending),
	UINT(7, ckpt_thread, altstack_sp),
	UINT(8, ckpt_thread, altstack_size),
	UINT(9, ckpt_thread, altstack_flags),
	UINT(10, ckpt_thread, robust_head),
	UINT(11, ckpt_thread, robust_len),
	UINT(12, ckpt_thread, rseq_ptr),
	UINT(13, ckpt_thread, rseq_size),
	UINT(14, ckpt_thread, rseq_sig),
	UINT(15, ckpt_thread, rseq_flags),
	UINT(16, ckpt_thread, clear_tid),
	INT(17, ckpt_thread, sched_policy),
	INT(18, ckpt_thread, sched_prio),
	INT(19, ckpt_thread, nice),
	BYTES(20, ckpt_thread, affinity),
	UINT(21, ckpt_thread, affinity_len),
	BYTES(22, ckpt_thread, creds.uid),
	BYTES(23, ckpt_thread, creds.gid),
	BLOB(24, ckpt_thread, creds.groups, creds.n_groups),
	UINT(25, ckpt_thread, creds.cap_inh),
	UINT(26, ckpt_thread, creds.cap_prm),
	UINT(27, ckpt_thread, creds.cap_eff),
	UINT(28, ckpt_thread, creds.cap_bnd),
	UINT(29, ckpt_thread, creds.cap_amb),
	UINT(30, ckpt_thread, creds.securebits),
	BOOL(31, ckpt_thread, creds.no_new_privs),
	UINT(32, ckpt_thread, timerslack_ns),
	LATER_UINT(33, ckpt_thread, ioprio),
	LATER_UINT(34, ckpt_thread, pdeath_sig),
	LATER_BLOB(35, ckpt_thread, filters, n_filters),
	LATER_UINT(36, ckpt_thread, wait),
	LATER_INT(37, ckpt_thread, wait_ns),
};
static const struct ckpt_shape thread_shape = SHAPE(ckpt_thread, thread_fields);

static const struct ckpt_field timer_fields[] = {
	INT(1, ckpt_timer, id),
	UINT(2, ckpt_timer, clock),
	UINT(3, ckpt_timer, notify),
	INT(4, ckpt_timer, signo),
	UINT(5, ckpt_timer, sigval),
	INT(6, ckpt_timer, tid),
	BOOL(7, ckpt_timer, of_day),
	INT(8, ckpt_timer, value_ns),
	INT(9, ckpt_timer, interval_ns),
	INT(10, ckpt_timer, overrun),
	BOOL(11, ckpt_timer, pending),
};
static const struct ckpt_shape timer_shape = SHAPE(ckpt_timer, timer_fields);

static const struct ckpt_field task_fields[] = {
	INT(1, ckpt_task, pid),
	INT(2, ckpt_task, ppid),
	INT(3, ckpt_task, pgid),
	INT(4, ckpt_task, sid),
	UINT(5, ckpt_task, state),
	INT(6, ckpt_task, exit_code),
	INT(7, ckpt_task, stop_signal),
	INT(8, ckpt_task, exit_signal),
	BYTES(9, ckpt_task, comm),
	UINT(10, ckpt_task, mm),
	UINT(11, ckpt_task, fdtable),
	UINT(12, ckpt_task, cwd),
	UINT(13, ckpt_task, root),
	UINT(14, ckpt_task, umask),
	UINT(15, ckpt_task, personality),
	INT(16, ckpt_task, pdeath_sig),
	BOOL(17, ckpt_task, child_subreaper),
	INT(18, ckpt_task, dumpable),
	INT(19, ckpt_task, oom_score_adj),
	BYTES(20, ckpt_task, limits),
	BYTES(21, ckpt_task, actions),
	BLOB(22, ckpt_task, pending, n_pending),
	BYTES(23, ckpt_task, itimers),
	LIST(24, ckpt_task, threads, n_threads, thread_shape),
	LATER_BOOL(25, ckpt_task, creds_known),
	LATER_BYTES(26, ckpt_task, creds.uid),
	LATER_BYTES(27, ckpt_task, creds.gid),
	LATER_BLOB(28, ckpt_task, creds.groups, creds.n_groups),
	LATER_UINT(29, ckpt_task, creds.cap_inh),
	LATER_UINT(30, ckpt_task, creds.cap_prm),
	LATER_UINT(31, ckpt_task, creds.cap_eff),
	LATER_UINT(32, ckpt_task, creds.cap_bnd),
	LATER_UINT(33, ckpt_task, creds.cap_amb),
	LATER_BOOL(34, ckpt_task, creds.no_new_privs),
	LATER_UINT(35, ckpt_task, ctty),
	LATER_INT(36, ckpt_task, tpgid),
	LIST(37, ckpt_task, timers, n_timers, timer_shape),
	LATER_BOOL(38, ckpt_task, stop_told),
};
static const struct ckpt_shape task_shape = SHAPE(ckpt_task, task_fields);

static const struct ckpt_field uts_fields[] = {
	BYTES(1, ckpt_uts, node),
	BYTES(2, ckpt_uts, domain),
};
static const struct ckpt_shape uts_shape = SHAPE(ckpt_uts, uts_fields);

static const struct ckpt_field net_setting_fields[] = {
	STR(1, ckpt_net_setting, name),
	STR(2, ckpt_net_setting, value),
	BOOL(3, ckpt_net_setting, usual),
};
static const struct ckpt_shape net_setting_shape = SHAPE(ckpt_net_setting, net_setting_fields);

static const struct ckpt_field net_address_fields[] = {
	UINT(1, ckpt_net_address, family),
	UINT(2, ckpt_net_address, prefix),
	UINT(3, ckpt_net_address, scope),
	UINT(4, ckpt_net_address, flags),
	BLOB(5, ckpt_net_address, address, address_len),
	BLOB(6, ckpt_net_address, local, local_len),
	BLOB(7, ckpt_net_address, broadcast, broadcast_len),
	STR(8, ckpt_net_address, label),
	UINT(9, ckpt_net_address, metric),
	UINT(10, ckpt_net_address, protocol),
};
static const struct ckpt_shape net_address_shape = SHAPE(ckpt_net_address, net_address_fields);

static const struct ckpt_field net_fields[] = {
	BOOL(1, ckpt_net, up),
	UINT(2, ckpt_net, mtu),
	UINT(3, ckpt_net, queue),
	LIST(4, ckpt_net, addresses, n_addresses, net_address_shape),
	LIST(5, ckpt_net, settings, n_settings, net_setting_shape),
};
const struct ckpt_shape ckpt_net_shape = SHAPE(ckpt_net, net_fields);

static const struct ckpt_field image_fields[] = {
	/* first, where it has the same pages in the next checkpoint */
	LATER_BLOB(41, ckpt_image, vdso, vdso_len),
	LIST(1, ckpt_image, tasks, n_tasks, task_shape),
	LIST(2, ckpt_image, mms, n_mms, mm_shape),
	LIST(3, ckpt_image, files, n_files, file_shape),
	LIST(4, ckpt_image, pipes, n_pipes, pipe_shape),
	LIST(5, ckpt_image, fdtables, n_fdtables, fdtable_shape),
	UINT(6, ckpt_image, monotonic_ns),
	UINT(7, ckpt_image, boottime_ns),
	UINT(8, ckpt_image, realtime_ns),
	BOOL(9, ckpt_image, private_pidns),
	BYTES(10, ckpt_image, vdso_hash),
	BYTES(11, ckpt_image, kernel),
	STR(13, ckpt_image, label),
	LATER_BYTES(14, ckpt_image, cpus),
	LATER_BOOL(15, ckpt_image, label_known),
	LIST(16, ckpt_image, eventfds, n_eventfds, eventfd_shape),
	LIST(17, ckpt_image, timerfds, n_timerfds, timerfd_shape),
	LIST(18, ckpt_image, signalfds, n_signalfds, signalfd_shape),
	LIST(19, ckpt_image, epolls, n_epolls, epoll_shape),
	LIST(20, ckpt_image, sockets, n_sockets, socket_shape),
	LIST(21, ckpt_image, unixes, n_unixes, unix_shape),
	LIST(23, ckpt_image, tcps, n_tcps, tcp_shape),
	LIST(64, ckpt_image, udps, n_udps, udp_shape),
	LIST(65, ckpt_image, nlsocks, n_nlsocks, nlsock_shape),
	LIST(25, ckpt_image, shms, n_shms, shm_shape),
	LIST(28, ckpt_image, inotifies, n_inotifies, inotify_shape),
	LIST(29, ckpt_image, pidfds, n_pidfds, pidfd_shape),
	LIST(31, ckpt_image, urings, n_urings, uring_shape),
	LIST(33, ckpt_image, ptys, n_ptys, pty_shape),
	LIST(35, ckpt_image, locks, n_locks, lock_shape),
	LIST(37, ckpt_image, filters, n_filters, filter_shape),
	LIST(50, ckpt_image, uts, n_uts, uts_shape),
	LIST(51, ckpt_image, ipc, n_ipc, ckpt_ipc_shape),
	LIST(62, ckpt_image, net, n_net, ckpt_net_shape),
	LATER_BOOL(63, ckpt_image, own_cgroupns),
};
const struct ckpt_shape ckpt_image_shape = SHAPE(ckpt_image, image_fields);
