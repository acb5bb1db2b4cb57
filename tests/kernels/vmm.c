/*
 * A machine monitor as small as can be, and the only program of the host that it runs on: it makes KVM guests as /jobs
 * says, lets each touch its memory, and prints what the host's counters make of it.
 *
 * It runs as /init of an initramfs on an x86_64 kernel with KVM, after loading the modules of /modules in that order.
 * What a reader should see begins with "@ "; the machine is switched off after "@ end".
 *
 * /jobs has one command per line, sizes and addresses in bytes:
 *
 *   layout NAME                           begins a layout; `run` ends and runs it
 *   pool SIZE COUNT                       huge pages of that size to have in the pool while the layout runs
 *   slot KIND PAGE SIZE HOST GUEST        memory of the guest: KIND is memfd, tmpfs (huge=always), hugetlb (pages of PAGE) or
 *                                         anonymous (transparent huge pages); it lies at HOST and GUEST
 *   read|write START STOP STEP            the guest accesses a byte at range(START, STOP, STEP) of its addresses
 *   host START STOP STEP                  this program writes there instead (addresses of its own)
 *
 * The guest's own page tables and code lie in a slot of their own at SYSTEM, so that no table holds both.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB (1UL << 30)
#define SYSTEM (512 * GIB)
#define THP "/sys/kernel/mm/transparent_hugepage/"

static char text[1 << 16];
static char jobs[1 << 16];
static char scratch[16 * 4096] __attribute__((aligned(4096)));

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

static void fail(const char *what)
{
	printf("@ skipped %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

/* Pages of a counter of the whole machine, once it stands still: tables leave with a delay (RCU). */
static long settled(const char *key)
{
	long now = -1, last;
	int quiet = 0;

	while (quiet < 3) {
		usleep(30000);
		write_file("/proc/sys/vm/stat_refresh", "1");
		last = now;
		now = field("/proc/vmstat", key);
		quiet = now == last ? quiet + 1 : 0;
	}
	return now;
}

struct counters {
	long second, vmpte, memcg;
};

/* Changes many statistics of the cgroup: only then does a reader of memory.stat get all of them (see agent.c). */
static void stir(void)
{
	for (int round = 0; round < 64; round++) {
		for (unsigned long i = 0; i < sizeof scratch; i += 4096)
			((volatile char *)scratch)[i] = 1;
		madvise(scratch, sizeof scratch, MADV_DONTNEED);
	}
}

static struct counters counters(void)
{
	struct counters now;

	stir();
	now.second = settled("nr_sec_page_table_pages ");
	now.vmpte = field("/proc/self/status", "VmPTE:");
	now.memcg = field("/sys/fs/cgroup/job/memory.stat", "sec_pagetables ");
	return now;
}

/* The guest. */

static void *memory(const char *kind, unsigned long page, unsigned long size, unsigned long host)
{
	int flags = MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd = -1;
	void *got;

	if (!strcmp(kind, "memfd"))
		fd = memfd_create("guest", 0);
	else if (!strcmp(kind, "hugetlb"))
		fd = memfd_create("guest", MFD_HUGETLB | (unsigned)__builtin_ctzl(page) << 26);
	else if (!strcmp(kind, "tmpfs"))
		fd = open("/huge", O_TMPFILE | O_RDWR, 0600);
	if (strcmp(kind, "anonymous") && (fd < 0 || ftruncate(fd, size)))
		fail("no memory");
	got = mmap((void *)host, size, PROT_READ | PROT_WRITE, flags | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), fd, 0);
	if (got != (void *)host)
		fail("no place for the guest's memory");
	return got;
}

struct guest {
	int kvm, vm, vcpu, slots;
	struct kvm_run *run;
};

static void slot(struct guest *guest, void *host, unsigned long at, unsigned long size)
{
	struct kvm_userspace_memory_region region = {
		.slot = guest->slots++, .guest_phys_addr = at, .memory_size = size, .userspace_addr = (unsigned long)host,
	};

	if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region))
		fail("KVM takes no memory");
}

static void start(struct guest *guest)
{
	static const unsigned char code[2][14] = {
		/* cmp rdi,rdx; jae +8; mov al,[rdi]; nop; add rdi,rsi; jmp -13; hlt */
		{0x48, 0x39, 0xd7, 0x73, 0x08, 0x8a, 0x07, 0x90, 0x48, 0x01, 0xf7, 0xeb, 0xf3, 0xf4},
		/* the same with mov byte [rdi],1 */
		{0x48, 0x39, 0xd7, 0x73, 0x08, 0xc6, 0x07, 0x01, 0x48, 0x01, 0xf7, 0xeb, 0xf3, 0xf4},
	};
	static struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 rest[128]; } cpuid = {.head.nent = 128};
	struct kvm_segment flat = {.limit = ~0U, .selector = 8, .type = 3, .present = 1, .s = 1, .g = 1, .db = 1};
	struct kvm_sregs special;
	unsigned long *tables = memory("memfd", 0, 2UL << 20, 64 * GIB);
	int size;

	tables[0] = (SYSTEM + 4096) | 3;
	tables[1] = (SYSTEM + 8192) | 3;
	for (int i = 0; i < 512; i++)
		tables[512 + i] = (i * GIB) | 0x83;
	tables[1024] = SYSTEM | 0x83;
	memcpy((char *)tables + 3 * 4096, code, sizeof code);
	slot(guest, tables, SYSTEM, 2UL << 20);
	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	size = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	guest->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	if (guest->vcpu < 0 || guest->run == MAP_FAILED)
		fail("no virtual CPU");
	if (ioctl(guest->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) || ioctl(guest->vcpu, KVM_SET_CPUID2, &cpuid))
		fail("no CPUID");
	ioctl(guest->vcpu, KVM_GET_SREGS, &special);
	special.ds = special.es = special.fs = special.gs = special.ss = flat;
	special.cs = flat;
	special.cs.type = 11;
	special.cs.db = 0;
	special.cs.l = 1;
	special.cr3 = SYSTEM;
	special.cr4 = 0x20;
	special.cr0 = 0x80000001;
	special.efer = 0x500;
	if (ioctl(guest->vcpu, KVM_SET_SREGS, &special))
		fail("the virtual CPU takes no registers");
}

static void access_memory(struct guest *guest, int write, unsigned long start, unsigned long stop, unsigned long step)
{
	struct kvm_regs registers = {
		.rip = SYSTEM + 3 * 4096 + 14 * write, .rflags = 2, .rdi = start, .rdx = stop, .rsi = step,
	};

	if (ioctl(guest->vcpu, KVM_SET_REGS, &registers) || ioctl(guest->vcpu, KVM_RUN, 0))
		fail("the guest does not run");
	if (guest->run->exit_reason != KVM_EXIT_HLT) {
		printf("@ skipped the guest ended with reason %u\n", guest->run->exit_reason);
		fflush(stdout);
		_exit(1);
	}
}

/* The jobs: one layout in a process of its own, between `layout` and `run`. */

static void run_layout(char *job)
{
	struct guest guest = {.kvm = open("/dev/kvm", O_RDWR)};
	struct counters fresh, idle, after;
	char *save, *line, lines[4096], kind[32];
	unsigned long a, b, c, d;

	if (write_file("/sys/fs/cgroup/job/cgroup.procs", "0"))
		fail("no cgroup");
	fresh = counters();
	guest.vm = ioctl(guest.kvm, KVM_CREATE_VM, 0);
	if (guest.vm < 0)
		fail("no guest");
	start(&guest);
	strcpy(lines, job);
	for (line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "slot %31s %li %li %li %li", kind, (long *)&a, (long *)&b, (long *)&c, (long *)&d) == 5)
			slot(&guest, memory(kind, a, b, c), d, b);
	access_memory(&guest, 1, 0, 0, 1);
	access_memory(&guest, 0, 0, 0, 1);
	idle = counters();
	strcpy(lines, job);
	for (line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%31s %li %li %li", kind, (long *)&a, (long *)&b, (long *)&c) != 4)
			continue;
		if (!strcmp(kind, "read") || !strcmp(kind, "write"))
			access_memory(&guest, *kind == 'w', a, b, c);
		for (; !strcmp(kind, "host") && a < b; a += c)
			*(volatile char *)a = 1;
	}
	after = counters();
	printf("@ sec_page_tables %ld %ld %ld\n", fresh.second, idle.second, after.second);
	printf("@ vmpte %ld %ld\n", idle.vmpte, after.vmpte);
	printf("@ memcg_sec_pagetables %ld %ld %ld\n", fresh.memcg, idle.memcg, after.memcg);
	fflush(stdout);
	_exit(0);
}

static void set_pool(unsigned long size, long count)
{
	char path[96], value[32];

	snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages", size >> 10);
	snprintf(value, sizeof value, "%ld", count);
	write_file(path, value);
}

static void run(const char *name, char *job)
{
	unsigned long size = 0;
	long count = 0;
	char *pool = strstr(job, "pool ");
	pid_t pid;

	if (pool && sscanf(pool, "pool %li %li", (long *)&size, &count) == 2 && size < GIB)
		set_pool(size, count);
	mkdir("/sys/fs/cgroup/job", 0755);
	printf("@ layout %s\n", name);
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_layout(job);
	waitpid(pid, NULL, 0);
	if (size && size < GIB)
		set_pool(size, 0);
	for (int i = 0; rmdir("/sys/fs/cgroup/job") && i < 100; i++)
		usleep(10000);
	printf("@ left %ld\n", settled("nr_sec_page_table_pages "));
}

static void load_modules(void)
{
	char list[4096], *save, *name, path[256];

	if (read_file("/modules") < 0)
		return;
	strcpy(list, text);
	for (name = strtok_r(list, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
		int fd;

		snprintf(path, sizeof path, "/%s", name);
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			printf("module %s: %s\n", name, strerror(errno));
		close(fd);
	}
}

static void parameter(const char *module, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/module/%s/parameters/%s", module, name);
	if (read_file(path) > 0)
		printf("@ %s.%s %c\n", module, name, text[0]);
}

int main(void)
{
	struct utsname system;
	char *line, *save, name[128] = "", job[4096] = "", device[32];
	int fd;

	mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/huge", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mount("tmpfs", "/huge", "tmpfs", 0, "huge=always,size=100%");
	write_file(THP "enabled", "always");
	load_modules();
	uname(&system);
	printf("@ begin\n@ release %s\n", system.release);
	parameter("kvm", "tdp_mmu");
	parameter("kvm_amd", "npt");
	if (read_file("/sys/class/misc/kvm/dev") > 0 && access("/dev/kvm", F_OK)) {
		int major, minor;

		if (sscanf(text, "%d:%d", &major, &minor) == 2)
			mknod("/dev/kvm", S_IFCHR | 0600, makedev(major, minor));
	}
	snprintf(device, sizeof device, "%d", access("/dev/kvm", R_OK | W_OK) == 0);
	printf("@ kvm %s\n", device);
	fd = open("/jobs", O_RDONLY);
	if (fd >= 0 && read(fd, jobs, sizeof jobs - 1) < 0)
		jobs[0] = 0;
	for (line = strtok_r(jobs, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "layout ", 7)) {
			snprintf(name, sizeof name, "%s", line + 7);
			*job = 0;
		} else if (!strcmp(line, "run")) {
			run(name, job);
		} else {
			strcat(strcat(job, line), "\n");
		}
	}
	printf("@ end\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 0;
}
