// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program in a network namespace of its own: own_network PROGRAM [ARG]...
 *
 * Lo gets another size of packets and a second address, and there are settings like nobody has
 * them; when the program has ended with success all of that must still be so.  What is wrong is
 * printed, and is the status.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MTU 9000
#define SECOND "10.9.8.7"

/* In an order in which the later ones undo the former where they are written once. */
static const char *const settings[][2] = {
	{ "net/ipv4/ip_unprivileged_port_start", "100" },
	{ "net/ipv4/ip_local_port_range", "500\t20000" },
	{ "net/ipv4/ip_local_reserved_ports", "600-610,700" },
	{ "net/ipv4/conf/all/forwarding", "1" },
	{ "net/ipv4/conf/default/forwarding", "0" },
	{ "net/ipv4/conf/lo/forwarding", "1" },
};

#define N (sizeof(settings) / sizeof(settings[0]))

static int put(const char *name, const char *value)
{
	char path[128];
	int fd, failed;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY);
	failed = fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value);
	close(fd);
	return failed;
}

static int check(const char *name, const char *value)
{
	char path[128], now[256] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, now, sizeof(now) - 1);
	close(fd);
	if (n > 0 && now[n - 1] == '\n')
		now[n - 1] = 0;
	if (n > 0 && !strcmp(now, value))
		return 0;
	printf("network: %s is %s, not %s\n", name, now, value);
	return 1;
}

static void address(struct ifreq *ret, const char *name, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &in.sin_addr);
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->ifr_name, sizeof(ret->ifr_name), "%s", name);
	memcpy(&ret->ifr_addr, &in, sizeof(in));
}

static int set_up(int fd)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_mtu = MTU };

	if (ioctl(fd, SIOCSIFMTU, &r))
		return -1;
	r.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &r))
		return -1;
	address(&r, "lo:1", SECOND);
	if (ioctl(fd, SIOCSIFADDR, &r))
		return -1;
	address(&r, "lo:1", "255.255.255.0");
	if (ioctl(fd, SIOCSIFNETMASK, &r))
		return -1;
	for (size_t i = 0; i < N; i++) {
		if (put(settings[i][0], settings[i][1]))
			return -1;
	}
	return 0;
}

static int check_all(int fd)
{
	struct ifreq r = { .ifr_name = "lo" }, a;
	int wrong = 0;

	if (ioctl(fd, SIOCGIFFLAGS, &r) || !(r.ifr_flags & IFF_UP))
		wrong += printf("network: lo is down\n");
	if (ioctl(fd, SIOCGIFMTU, &r) || r.ifr_mtu != MTU)
		wrong += printf("network: lo has another size of packets\n");
	address(&a, "lo:1", SECOND);
	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, "lo:1", 5);
	if (ioctl(fd, SIOCGIFADDR, &r) || memcmp(&r.ifr_addr, &a.ifr_addr, 8))
		wrong += printf("network: lo:1 has another address\n");
	for (size_t i = 0; i < N; i++)
		wrong += check(settings[i][0], settings[i][1]);
	return wrong;
}

static int run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/* A socket that would be part of the tree is there only while it is needed. */
static int with_socket(int (*fn)(int fd))
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), ret = fn(fd);

	close(fd);
	return ret;
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 2 || unshare(CLONE_NEWNET) || with_socket(set_up)) {
		perror("own_network");
		return 1;
	}
	status = run(argv + 1);
	return status ? status : with_socket(check_all) != 0;
}
