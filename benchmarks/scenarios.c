/* The arithmetic of ptcalc for one mapping of a shared segment that is touched at random, written out for one process
 * group on x86_64 (PTE, PMD and PUD tables of 2 MiB, 1 GiB and 512 GiB): eight policies, scenario after scenario.
 * This is what the vectorised engine is measured against, and its results are compared with it.
 */
#include <math.h>
#include <stdint.h>

typedef int64_t i64;
enum { TODAY, PRIVATE, HUGETLB_2M, HUGETLB_1G, THP, FILE_SHARED, MAP_SHARED_PT, MSHARE, POLICIES };
enum { TABLES, EXACT, DEMAND, HEADROOM, RISK, FIGURES };

#define PAGE 4096LL
#define MIB2 (2LL << 20)
#define GIB (1LL << 30)
static const i64 SPAN[3] = {2LL << 20, 1LL << 30, 512LL << 30};

static double curvature(double x, double m)
{
    if (x < 0.5)
        return -m;
    double safe = x > 1.0 ? x : 1.0, t = m / safe;
    if (t >= 0.02)
        return safe * (log1p(t) - t);
    double series = 0.0;
    for (int power = 12; power > 1; power--)
        series = t * ((power % 2 ? 1.0 : -1.0) / power + series);
    return safe * (series * t);
}

/* log of the probability that a draw of k of n slots leaves m of them alone */
static double log_empty(i64 n, i64 drawn, i64 held)
{
    if (n - drawn - held < 0)
        return -INFINITY;
    i64 few = drawn < held ? drawn : held, many = drawn < held ? held : drawn;
    if (few <= 64) {
        double sum = 0.0;
        for (i64 j = 0; j < few; j++)
            sum += log1p(-(double)many / (double)(n - j));
        return sum;
    }
    double N = (double)n, k = (double)many, m = (double)few, d = N - m - k, b = d + m, safe = d > 1.0 ? d : 1.0;
    double main = m * log1p(k / b) + curvature(d + k, m) - curvature(d, m);
    double root = 0.5 * log1p(m * k / (N * safe));
    double tail = (1 / b - 1 / N + 1 / (d + k) - 1 / safe) / 12;
    double value = -main + root + tail;
    return value < 0.0 ? value : 0.0;
}

struct sum { i64 own, shared; double own_expected, shared_expected; };

/* `count` tables of `held` pages each; shared ones are filled by all processes together */
static void add(struct sum *to, i64 count, i64 n, i64 k, i64 held, int shared, double processes)
{
    if (count <= 0 || k == 0)
        return;
    double log = k == n ? -INFINITY : log_empty(n, k, held);
    if (log == -INFINITY) {
        *(shared ? &to->shared : &to->own) += count;
    } else if (shared) {
        to->shared_expected += (double)count * -expm1(log * processes);
    } else {
        to->own_expected += (double)count * -expm1(log);
    }
}

/* Tables of one level for pages from lo to hi; those wholly inside start..end are of `kind`: 0 own, 1 shared, 2 none. */
static struct sum level(int number, i64 lo, i64 hi, i64 start, i64 end, i64 n, i64 k, int kind, double processes)
{
    struct sum out = {0, 0, 0.0, 0.0};
    i64 span = SPAN[number], first = lo / span, last = (hi - 1) / span;
    i64 in_first = (start + span - 1) / span, in_last = end / span;
    for (int part = 0; part < 3; part++) {
        i64 at = part == 0 ? first : part == 1 ? first + 1 : last, count = part == 1 ? last - first - 1 : 1;
        if (count <= 0 || (part == 2 && last == first))
            continue;
        i64 low = at * span > lo ? at * span : lo, high = (at + 1) * span < hi ? (at + 1) * span : hi;
        int inside = at >= in_first && at < in_last;
        if (inside && kind == 2)
            continue;
        add(&out, count, n, k, (high - 1 - lo) / PAGE - (low - lo) / PAGE + 1, inside && kind == 1, processes);
    }
    return out;
}

static i64 bytes(struct sum sum, i64 processes, int *exact)
{
    double expected = sum.own_expected * (double)processes + sum.shared_expected;
    if (sum.own_expected != 0.0 || sum.shared_expected != 0.0)
        *exact = 0;
    return (sum.own * processes + sum.shared + (i64)rint(expected)) * PAGE;
}

static i64 index_nodes(i64 pages, int order)
{
    i64 slots = (pages << order), shift = 6 * (order / 6), nodes = 0;
    slots = (slots + (1LL << shift) - 1) >> shift;
    while (slots) {
        slots = (slots + 63) >> 6;
        nodes += slots;
        if (slots == 1)
            break;
    }
    return nodes;
}

/* constants: capacity, other demand, bytes of each process, bytes of an index node, root of a host mm */
void scenarios(i64 many, const i64 *size, const i64 *pages, const i64 *address, const i64 *processes,
               const i64 *constants, i64 *out)
{
    for (i64 s = 0; s < many; s++) {
        i64 n = (size[s] + PAGE - 1) / PAGE, k = pages[s] < n ? pages[s] : n, N = processes[s];
        double times = (double)N;
        for (int policy = 0; policy < POLICIES; policy++) {
            i64 unit = policy == HUGETLB_2M ? MIB2 : policy == HUGETLB_1G ? GIB : PAGE;
            i64 start = address[s] - address[s] % unit, length = (size[s] + unit - 1) / unit * unit;
            i64 lo = start, end = start + length;
            int kinds[3] = {0, 0, 0}, from = policy == HUGETLB_2M ? 1 : policy == HUGETLB_1G ? 2 : 0, exact = 1;
            if (policy == HUGETLB_2M)
                kinds[1] = 1;
            else if (policy == THP)
                kinds[0] = start % MIB2 ? 0 : 2;
            else if (policy == FILE_SHARED)
                kinds[0] = kinds[1] = length >= MIB2;
            else if (policy == MAP_SHARED_PT)
                kinds[0] = start % MIB2 == 0 && end % MIB2 == 0;
            else if (policy == MSHARE)
                lo = 0;
            i64 tables = 0;
            for (int number = from; number < 3; number++) {
                struct sum sum = policy == MSHARE
                    ? level(number, 0, size[s], 0, 1LL << 60, n, k, 1, times)
                    : level(number, lo, lo + size[s], start, end, n, k, kinds[number], times);
                tables += bytes(sum, N, &exact);
            }
            i64 resident = policy == THP ? (size[s] + MIB2 - 1) / MIB2 * MIB2 : length;
            i64 nodes = policy == THP ? index_nodes(resident / MIB2, 9)
                : unit == MIB2 ? index_nodes(length / unit, 9)
                : unit == GIB ? index_nodes(length / unit, 18) : index_nodes(resident / PAGE, 0);
            i64 demand = tables + resident + nodes * constants[3] + N * constants[2] + constants[1]
                + (policy == MSHARE ? constants[4] : 0);
            i64 headroom = constants[0] - demand;
            i64 *to = out + (s * POLICIES + policy) * FIGURES;
            to[TABLES] = tables;
            to[EXACT] = exact;
            to[DEMAND] = demand;
            to[HEADROOM] = headroom;
            to[RISK] = (headroom * 10 < constants[0]) + (headroom * 20 < constants[0]) + (headroom < 0);
        }
    }
}
