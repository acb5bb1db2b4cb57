"""Second-level page tables: those that KVM keeps for a guest, and VFIO for the devices that it gives away.

They map what the guest calls physical addresses, once more beside the page tables of the emulator, and are counted in
SecPageTables, never in PageTables or VmPTE.  Sources (Linux 6.1 to 7.2):

- x86_64, KVM: arch/x86/kvm/mmu/tdp_mmu.c.  Tables look like those of processes, with four levels as long as the guest
  has at most 48 address bits (mmu.c:kvm_mmu_get_tdp_level).  tdp_account_mmu_page counts every table but the root,
  which kvm_tdp_mmu_alloc_root takes without counting it.  Measured: tests/kernels/guests.
- arm64, KVM: arch/arm64/kvm/hyp/pgtable.c (stage 2), asm/stage2_pgtable.h.  The root is up to 16 tables side by side,
  so that there is often one level less; mmu.c:kvm_s2_zalloc_pages_exact counts it.  Not measured.
- VFIO: drivers/iommu/intel/iommu.c, io-pgtable-arm.c, iommu-pages.h; four levels, the root counted.  Not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ptcalc.arch.geometry import LEVEL_NAMES, Level

if TYPE_CHECKING:
    from ptcalc.arch.geometry import Geometry, Version

Kind = Literal["kvm", "vfio"]
KINDS: tuple[Kind, ...] = ("kvm", "vfio")

# Since when SecPageTables exists, and has these tables: "mm: add NR_SECONDARY_PAGETABLE to count secondary page table
# uses" (KVM's), and "iommu: account IOMMU allocated memory".
COUNTED_SINCE: dict[Kind, Version] = {"kvm": (6, 1), "vfio": (6, 10)}
# Guest-physical addresses end here: what four levels of x86_64 translate, and the 48 bits of arm64 without LPA2.
END = 1 << 48

_IPA_BITS = 40  # of a guest that asks for no more (asm/kvm_arm.h: KVM_PHYS_SHIFT)
_CONCATENATED_BITS = 4  # up to 16 tables side by side are one root
_SOURCE = {
    ("x86_64", "kvm"): "arch/x86/kvm/mmu/tdp_mmu.c: all tables but the root",
    ("arm64", "kvm"): "arch/arm64/kvm/mmu.c, hyp/pgtable.c (stage 2); not measured",
    ("x86_64", "vfio"): "drivers/iommu/intel/iommu.c, iommu-pages.h; not measured",
    ("arm64", "vfio"): "drivers/iommu/io-pgtable-arm.c, iommu-pages.h; not measured",
}


@dataclass(frozen=True, slots=True)
class SecondLevel:
    """The tables of one guest: ``levels`` below the root from the leaf up, and the root, bytes.

    ``root_counted``: SecPageTables has the root as well.
    """

    kind: Kind
    levels: tuple[Level, ...]
    root_bytes: int
    root_counted: bool
    source: str


def second_level(geometry: Geometry, kind: Kind, end: int) -> SecondLevel | None:
    """Return the tables of a guest whose addresses end at `end` (bytes); None where they are not known."""
    family = geometry.guests
    if family is None:
        return None
    if family == "arm64" and kind == "kvm":
        depth, root = _stage2(geometry.base_page, max(_IPA_BITS, (end - 1).bit_length()))
    else:
        depth, root = _depth(geometry.base_page, 48), geometry.base_page
    counted = (family, kind) != ("x86_64", "kvm")
    levels = tuple(_level(geometry.base_page, place) for place in range(depth - 1))
    return SecondLevel(kind, levels, root, counted, _SOURCE[family, kind])


def _level(page: int, place: int) -> Level:
    bits = _shift(page) - 3
    return Level(name=LEVEL_NAMES[place], entries=1 << bits, span=page << (place + 1) * bits, table_bytes=page)


def _stage2(page: int, bits: int) -> tuple[int, int]:
    """Return the levels of a stage 2 for so many address bits, and the bytes of its root.

    Two levels at least, so that huge pages of the host need not be split (arch/arm64/kvm/hyp/pgtable.c:kvm_get_vtcr).
    """
    depth = max(2, _depth(page, bits - _CONCATENATED_BITS))
    below = _shift(page) + (depth - 1) * (_shift(page) - 3)
    return depth, max(page, 8 << (bits - below))


def _depth(page: int, bits: int) -> int:
    """Return the levels that tables of one page, of 8-byte entries, need for so many address bits."""
    return -(-(bits - _shift(page)) // (_shift(page) - 3))


def _shift(page: int) -> int:
    return page.bit_length() - 1
