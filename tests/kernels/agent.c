/*
 * The only program of a guest: it maps memory as /jobs says and prints what the kernel's counters make of it.
 *
 * It runs as /init of an initramfs, with one virtual CPU, on any 64-bit architecture that Linux supports.  What it
 * prints to the console and a reader should see begins with "@ "; the machine is switched off after "@ end".
 *
 * /jobs has one command per line, numbers in any base that C knows, sizes and addresses in bytes:
 *
 *   layout NAME                     begins a layout; `run` ends and runs it
 *   thp always|never                transparent huge pages of private anonymous memory
 *   pool SIZE COUNT                 huge pages of that size to have in the pool while the layout runs
 *   segment KIND SIZE PAGE          memfd, file (no huge pages ever), tmpfs (huge=always), hugetlb with pages of PAGE
 *   processes COUNT                 that many alike, which do in this order:
 *   map SEGMENT ADDRESS LENGTH OFFSET PROT FLAGS     SEGMENT: place in the list of segments, or -1 for anonymous
 *   advise ADDRESS LENGTH ADVICE
 *   read|write START STOP STEP      access a byte at range(START, STOP, STEP)
 *   protect ADDRESS LENGTH PROT
 *
 * PROT, FLAGS and ADVICE are the numbers of <sys/mman.h> (equal on all architectures, as far as they are used).
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEGMENTS = 8, PROCESSES = 32, OPS = 4096, SCRATCH_PAGES = 16, SCRATCH_ROUNDS = 64, TRIVIAL = 32 };

#define THP "/sys/kernel/mm/transparent_hugepage/"
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

struct op {
	char name; /* m(ap), a(dvise), r(ead), w(rite), p(rotect), n(ext process) */
	unsigned long args[6];
};

struct process {
	pid_t pid;
	int order; /* our end of a socket to it: an order is one byte, and so is the answer */
	long before, after; /* VmPTE in kB */
};

static char name[128];
static unsigned long pool_size; /* 0: the layout needs no pool */
static long pool_before = -1;
static int segments[SEGMENTS], segment_count;
static char skipped[256];
static struct op ops[OPS];
static int op_count;
static struct process processes[PROCESSES];
static int process_count;
static char *scratch;
static long page;
static int huge_tmpfs; /* no: without transparent huge pages the mount option is unknown */
static char text[1 << 16];

/* Reading and writing small files, without stdio: its buffers could need tables between two readings. */

static int read_file(const char *path)
{
	int fd = open(path, O_RDONLY), length = 0, got;

	if (fd < 0)
		return -1;
	while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0)
		length += got;
	close(fd);
	text[length] = 0;
	return length;
}

static int write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), done;

	if (fd < 0)
		return -1;
	done = write(fd, value, strlen(value));
	close(fd);
	return done < 0 ? -1 : 0;
}

/* The number after `key` at the start of a line of a file, -1 if there is no such line. */
static long field(const char *path, const char *key)
{
	char *line;

	if (read_file(path) < 0)
		return -1;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, strlen(key)))
			return strtol(line + strlen(key), NULL, 10);
	}
	return -1;
}

static long vmpte(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	return field(path, "VmPTE:");
}

/* Page-table pages of the whole machine; freed ones leave with a delay (RCU), so: once it stands still. */
static long page_tables(void)
{
	long now = -1, last;
	int quiet = 0;

	while (quiet < 3) {
		usleep(30000);
		write_file("/proc/sys/vm/stat_refresh", "1"); /* folds the per-CPU parts */
		last = now;
		now = field("/proc/vmstat", "nr_page_table_pages ");
		quiet = now == last ? quiet + 1 : 0;
	}
	return now;
}

static void skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!*skipped)
		vsnprintf(skipped, sizeof skipped, format, arguments);
	va_end(arguments);
}

/* The process under test. */

/*
 * Touch scratch pages, which have their tables already, and give them back.  It changes many statistics of the memory
 * cgroup: only then does the next reader of memory.stat get all of them summed up (mm/memcontrol.c, flush thresholds).
 */
static void stir(void)
{
	for (int round = 0; round < SCRATCH_ROUNDS; round++) {
		for (int i = 0; i < SCRATCH_PAGES; i++)
			((volatile char *)scratch)[i * page] = 1;
		madvise(scratch, SCRATCH_PAGES * page, MADV_DONTNEED);
	}
}

static int apply(const struct op *op)
{
	const unsigned long *a = op->args;
	volatile char *memory = NULL;
	unsigned long address;
	void *got;

	switch (op->name) {
	case 'm':
		got = mmap((void *)a[1], a[2], a[4], a[5] | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
			   (long)a[0] < 0 ? -1 : segments[a[0]], a[3]);
		if (got == MAP_FAILED)
			return errno;
		return got == (void *)a[1] ? 0 : EEXIST;
	case 'a':
		return madvise((void *)a[0], a[1], a[2]) ? errno : 0;
	case 'p':
		return mprotect((void *)a[0], a[1], a[2]) ? errno : 0;
	case 'r':
		for (address = a[0]; address < a[1]; address += a[2])
			(void)memory[address];
		return 0;
	case 'w':
		for (address = a[0]; address < a[1]; address += a[2])
			memory[address] = 1;
		return 0;
	}
	return EINVAL;
}

static void child(const struct op *first, int orders)
{
	char order, answer;

	if (write_file("/sys/fs/cgroup/job/cgroup.procs", "0"))
		_exit(1);
	for (answer = 0; write(orders, &answer, 1) == 1 && read(orders, &order, 1) == 1;) {
		answer = 0;
		if (order == 's')
			stir();
		else
			for (const struct op *op = first; op < ops + op_count && op->name != 'n' && !answer; op++)
				answer = apply(op);
	}
	_exit(0);
}

/* The agent. */

static int answer(struct process *process)
{
	char byte;

	if (read(process->order, &byte, 1) != 1) {
		skip("a process died");
		return -1;
	}
	if (byte)
		skip("%s", strerror(byte));
	return byte;
}

static int order(struct process *process, char what)
{
	return write(process->order, &what, 1) == 1 ? answer(process) : -1;
}

static void start(const struct op *first)
{
	struct process *process = &processes[process_count++];
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) {
		skip("no socket: %s", strerror(errno));
		process->pid = -1;
		return;
	}
	process->pid = fork();
	if (!process->pid) {
		close(ends[0]);
		child(first, ends[1]);
	}
	close(ends[1]);
	process->order = ends[0];
	if (process->pid < 0)
		skip("no process: %s", strerror(errno));
	else if (!answer(process))
		order(process, 's'); /* once for nothing: from here on all its own tables exist */
}

/* Have that many huge pages of `pool_size` in its pool, or more where there were more (gigantic ones are from boot). */
static void set_pool(long count)
{
	char path[96], value[32];

	snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages", pool_size >> 10);
	if (pool_before < 0)
		pool_before = field(path, "");
	snprintf(value, sizeof value, "%ld", count > pool_before ? count : pool_before);
	if (write_file(path, value) || field(path, "") < count)
		skip("%ld huge pages of %lu bytes are not to be had", count, pool_size);
}

static void segment(const char *kind, unsigned long size, unsigned long pages)
{
	int *fd = &segments[segment_count++];

	if (!strcmp(kind, "memfd"))
		*fd = memfd_create("segment", 0);
	else if (!strcmp(kind, "hugetlb"))
		*fd = memfd_create("segment", MFD_HUGETLB | (unsigned)__builtin_ctzl(pages) << 26);
	else
		*fd = open(kind[0] == 't' ? "/huge" : "/ram", O_TMPFILE | O_RDWR, 0600);
	if (*fd < 0 && !strcmp(kind, "file")) { /* ramfs of old kernels has no O_TMPFILE */
		*fd = open("/ram/segment", O_CREAT | O_EXCL | O_RDWR, 0600);
		unlink("/ram/segment");
	}
	if (*kind == 't' && !huge_tmpfs)
		skip("no huge pages on tmpfs");
	if (*fd < 0 || ftruncate(*fd, size))
		skip("no segment of kind %s: %s", kind, strerror(errno));
}

struct counters {
	long pages, memcg, kernel;
};

static struct counters counters(void)
{
	struct counters now;

	order(&processes[0], 's');
	now.pages = page_tables();
	now.memcg = field("/sys/fs/cgroup/job/memory.stat", "pagetables ");
	now.kernel = field("/sys/fs/cgroup/job/memory.stat", "kernel ");
	return now;
}

static void finish(void)
{
	for (int i = 0; i < process_count; i++) {
		if (processes[i].pid > 0) {
			kill(processes[i].pid, SIGKILL);
			waitpid(processes[i].pid, NULL, 0);
		}
		close(processes[i].order);
	}
	for (int i = 0; i < segment_count; i++)
		close(segments[i]);
	if (pool_size)
		set_pool(0);
	write_file(THP "enabled", "never");
	for (int i = 0; rmdir("/sys/fs/cgroup/job") && i < 100; i++)
		usleep(10000);
	process_count = segment_count = op_count = 0;
	pool_size = 0;
	pool_before = -1;
	*skipped = 0;
}

static void run(void)
{
	struct counters before = {0}, after = {0};

	mkdir("/sys/fs/cgroup/job", 0755);
	for (int i = 0; i < op_count; i++)
		if (ops[i].name == 'n')
			for (unsigned long n = 0; n < ops[i].args[0] && !*skipped && process_count < PROCESSES; n++)
				start(&ops[i + 1]);
	if (!*skipped) {
		before = counters();
		for (int i = 0; i < process_count; i++)
			processes[i].before = vmpte(processes[i].pid);
		for (int i = 0; i < process_count && !*skipped; i++)
			order(&processes[i], 'g');
	}
	if (!*skipped) {
		after = counters();
		for (int i = 0; i < process_count; i++)
			processes[i].after = vmpte(processes[i].pid);
	}
	printf("@ layout %s\n", name);
	if (*skipped) {
		printf("@ skipped %s\n", skipped);
	} else {
		for (int i = 0; i < process_count; i++)
			printf("@ vmpte %ld %ld\n", processes[i].before, processes[i].after);
		printf("@ page_tables %ld %ld\n", before.pages, after.pages);
		printf("@ memcg_pagetables %ld %ld\n", before.memcg, after.memcg);
		printf("@ memcg_kernel %ld %ld\n", before.kernel, after.kernel);
	}
	finish();
}

static struct op *operation(char what)
{
	static struct op spare;

	if (op_count == OPS) {
		skip("more than %d operations", OPS);
		return &spare;
	}
	ops[op_count].name = what;
	return &ops[op_count++];
}

static void command(char *line)
{
	char *words[8] = {"", "", "", "", "", "", "", ""};
	unsigned long numbers[8] = {0};
	int count = 0;

	for (char *word = strtok(line, " \n"); word && count < 8; word = strtok(NULL, " \n")) {
		words[count] = word;
		numbers[count++] = strtoul(word, NULL, 0);
	}
	if (!strcmp(words[0], "layout")) {
		snprintf(name, sizeof name, "%s", words[1]);
	} else if (!strcmp(words[0], "thp")) {
		if (write_file(THP "enabled", words[1]))
			skip("no transparent huge pages");
	} else if (!strcmp(words[0], "pool")) {
		pool_size = numbers[1];
		set_pool(numbers[2]);
	} else if (!strcmp(words[0], "segment")) {
		segment(words[1], numbers[2], numbers[3]);
	} else if (!strcmp(words[0], "run")) {
		run();
	} else if (count) {
		struct op *op = operation(strcmp(words[0], "processes") ? words[0][0] : 'n');

		memcpy(op->args, numbers + 1, sizeof op->args);
	}
}

/* The number of address bits that mmap gives out: what the paging mode leaves to user space. */
static int address_bits(void)
{
	int status, bits = 0;

	if (!fork()) { /* on s390x a high mapping adds levels to the process for good */
		for (int i = 30; i < 64; i++) {
			void *where = (void *)((1UL << i) - 4 * page);

			void *got = mmap(where, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

			if (got == where || (got == MAP_FAILED && errno == EEXIST)) /* the stack may be there */
				bits = i;
		}
		_exit(bits);
	}
	wait(&status);
	return WEXITSTATUS(status);
}

/* Page-table pages of a process that is a copy of this one: all its levels, the root included. */
static void trivial_processes(void)
{
	pid_t pids[TRIVIAL];
	long before = page_tables();

	for (int i = 0; i < TRIVIAL; i++) {
		pids[i] = fork();
		if (!pids[i])
			for (;;)
				pause();
	}
	printf("@ forked %d\n", TRIVIAL);
	printf("@ forked_page_tables %ld\n", page_tables() - before);
	printf("@ forked_vmpte_kb %ld\n", vmpte(pids[0]));
	for (int i = 0; i < TRIVIAL; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static void print_machine(void)
{
	static char list[4096];
	struct utsname system;
	char *line;

	uname(&system);
	printf("@ release %s\n@ machine %s\n@ page_size %ld\n", system.release, system.machine, page);
	printf("@ address_bits %d\n", address_bits());
	printf("@ default_huge_page_kb %ld\n", field("/proc/meminfo", "Hugepagesize:"));
	printf("@ thp_bytes %ld\n", field(THP "hpage_pmd_size", ""));
	for (int shift = 12; shift < 40; shift++) {
		char path[96];

		snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%lukB", (1UL << shift) >> 10);
		if (!access(path, F_OK))
			snprintf(list + strlen(list), sizeof list - strlen(list), " %lu", 1UL << shift);
	}
	printf("@ huge_pages%s\n", list);
	if (read_file("/proc/cpuinfo") > 0) {
		printf("@ la57 %d\n", strstr(text, " la57") != NULL);
		for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			if (!strncasecmp(line, "mmu", 3)) {
				printf("@ mmu%s\n", strchr(line, ':') + 1);
				break;
			}
	}
	printf("@ pti %d\n", read_file("/sys/devices/system/cpu/vulnerabilities/meltdown") > 0 && strstr(text, "PTI"));
	printf("@ page_tables_at_start %ld\n", page_tables());
	printf("@ vmpte_kb %ld\n", vmpte(getpid()));
	trivial_processes();
}

static void prepare(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/huge", 0755);
	mkdir("/ram", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	mount("ramfs", "/ram", "ramfs", 0, NULL);
	huge_tmpfs = !mount("tmpfs", "/huge", "tmpfs", 0, "huge=always,size=1t");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	write_file("/proc/sys/vm/overcommit_memory", "1");
	write_file("/proc/sys/kernel/printk", "1");
	write_file(THP "enabled", "never");
	write_file(THP "shmem_enabled", "never");
	/* khugepaged must change nothing between two readings */
	write_file(THP "khugepaged/scan_sleep_millisecs", "4000000");
	write_file(THP "khugepaged/alloc_sleep_millisecs", "4000000");
	page = sysconf(_SC_PAGESIZE);
	scratch = mmap(NULL, SCRATCH_PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(scratch, SCRATCH_PAGES * page, MADV_NOHUGEPAGE);
	memset(scratch, 1, SCRATCH_PAGES * page);
}

int main(void)
{
	static char line[256];
	FILE *jobs;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	prepare();
	printf("\n@ begin\n");
	print_machine();
	jobs = fopen("/jobs", "r");
	while (jobs && fgets(line, sizeof line, jobs))
		command(line);
	printf("@ end\n");
	fflush(stdout);
	sleep(1);
	reboot(RB_POWER_OFF);
	return 0;
}
