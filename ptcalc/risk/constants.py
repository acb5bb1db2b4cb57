"""Constants of the kernel that the ledger charges, each with its unit and where it comes from.

Those that differ between machines are defaults of `ptcalc.risk.config.Config`; a config file can set them.
"""

from __future__ import annotations

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# struct page, bytes for each base page; taken at boot, hence not in MemTotal (include/linux/mm_types.h).
PAGE_STRUCT = 64

# A xarray node holds 64 slots and takes 584 bytes of slab (include/linux/xarray.h, slabinfo of 6.18).
XARRAY_NODE = 584
XARRAY_SHIFT = 6

# Unreclaimable slab of a small process (task, mm, signals, files, VMAs) and of a further thread (task and FPU
# state, signal masks), bytes; with the kernel stack of 16 KiB a process comes to 48 KiB (measured on 6.18).
PROCESS_SLAB = 32 * KIB
THREAD_SLAB = 8 * KIB

# min_free_kbytes = clamp(int_sqrt(16 * lowmem_kB), 128, 262144) (mm/page_alloc.c:calculate_min_free_kbytes).
MIN_FREE_FACTOR = 16
MIN_FREE_LEAST_KB = 128
MIN_FREE_MOST_KB = 262_144

# khugepaged raises it to 2 + 3 * 3 pageblocks a zone, at most 5 % of lowmem
# (mm/khugepaged.c:set_recommended_min_free_kbytes; MIGRATE_PCPTYPES is 3).
MIN_FREE_PAGEBLOCKS = 2 + 3 * 3
MIN_FREE_LOWMEM_DIVISOR = 20

# vm.lowmem_reserve_ratio of DMA32: allocations that could use Normal leave Normal / 256 of DMA32 alone
# (mm/page_alloc.c:setup_per_zone_lowmem_reserve).
LOWMEM_RESERVE_RATIO = 256

# Default of kernel.pid_max's ceiling on 64 bits (include/linux/threads.h:PID_MAX_LIMIT).
PID_MAX = 4_194_304

# What runs beside the workload, where the file does not say: an estimate, no kernel constant.  Services and
# kernel take a fixed amount (less on small hosts), buffers that cannot shrink a share of memory.
USED_BASE = 2 * GIB
USED_BASE_DIVISOR = 16
USED_SHARE_DIVISOR = 100
