// Generation's CPU kernels, called by MindSpore's Custom "aot" ops and compiled on first use by compiling.py.
//
// A call computes `live` tokens, each with its slot and position, of any mix of sequences: one new token of many
// sequences, or many of one. Shapes are static, the work is not: rows from `live` on are left as they are.
// Every number is computed by one thread in an order that depends on its own sequence alone, so answers depend
// neither on the batch nor on the number of threads.
//
// A kernel that does not return 0 ends the run: an id, a slot or a position that leads out of an array.
//
// At small batches the time is that of reading the weights once: panels.h says how they lie.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <type_traits>
#include <vector>

#include "panels.h"

#define KERNEL(name) \
    extern "C" int name(int count, void** params, int*, int64_t** shapes, const char** dtypes, void*, void*)
#define F(i) static_cast<float*>(params[i])
#define I(i) static_cast<int32_t*>(params[i])

constexpr int OUTSIDE = 1;                       // returned for what leads out of an array
constexpr long SPAN = 64;                        // positions whose scores are computed together
constexpr long KEYS = 16;                        // positions of a block of keys: [head_dim][KEYS]
#if defined(__AVX512F__)
constexpr int SUMS = 24, ROWS = 12, MOST = 12;  // vectors of sums in a register tile, its tokens, and the most of them
#else
constexpr int SUMS = 12, ROWS = 3, MOST = 6;
#endif

template <class Run>
static inline auto cached(const char* name, Run run) {  // as `typed`, of the cache
    if (name[0] == 'u') return run(static_cast<uint16_t*>(nullptr));
    return run(static_cast<float*>(nullptr));
}

static inline void put(float* to, float value) { *to = value; }
static inline void put(uint16_t* to, float value) {  // the nearest bfloat16, of two the even one; a NaN stays one
    uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    *to = value == value ? (word + 0x7fffu + (word >> 16 & 1)) >> 16 : word >> 16 | 0x40;
}

static float* scratch(std::vector<float>& buffer, long size) {
    if (long(buffer.size()) < size) buffer.resize(size);
    return buffer.data();
}

// All threads of a team wait for one another. OpenMP's own barrier sleeps at once if told to be passive, and waking
// takes longer than most of what lies between two barriers of a step; here they look around for some microseconds.
class Meeting {
    std::atomic<int> here{0}, round{0};

  public:
    void wait() {
        int now = round.load(std::memory_order_acquire);
        if (here.fetch_add(1, std::memory_order_acq_rel) + 1 == omp_get_num_threads()) {
            here.store(0, std::memory_order_relaxed);
            round.store(now + 1, std::memory_order_release);
            return;
        }
        for (int looks = 0; round.load(std::memory_order_acquire) == now; ++looks)
            if (looks > 1000) std::this_thread::yield();
    }
};

// ---- Linear layers.

constexpr long PIECE = 128;  // inputs whose weights, widened, stay in the nearest cache for all tokens
static_assert(PIECE % BLOCK == 0, "a piece begins with a block's scales");

// Vectors of a panel that are computed together, for so many tokens: their sums fit into registers.
constexpr long together(long tokens, long vectors = VECTORS) {
    return vectors == 1 || tokens * vectors <= SUMS ? vectors : together(tokens, vectors / 2);
}

// Panels that are read side by side for so many tokens: memory answers several streams of a thread faster than one,
// and of a single token's sums each waits for its last addition.
constexpr int abreast(long tokens) {
    long sums = tokens * together(tokens);
    return together(tokens) < VECTORS ? 1 : 4 * sums <= SUMS ? 4 : 2 * sums <= SUMS ? 2 : 1;
}

// sums[P][M][LANES] = x[M, inputs] times P panels, or that added to what is there.
template <class S, int M, int P>
static void tile(const float* x, long stride, long inputs, const S* panel, bool added, float* sums) {
    constexpr int V = together(M);
    auto place = [](int m, int v) { return (v / V * M + m) * LANES + v % V * W; };
    for (int first = 0; first < VECTORS; first += V, sums += V * W) {
        vec acc[M][P * V] = {};
        if (added)
            for (int m = 0; m < M; ++m)
                for (int v = 0; v < P * V; ++v) acc[m][v] = load(sums + place(m, v));
        each_row<V, P>(panel, rows_of<S>(inputs) * LANES, first, inputs, [&](long k, const vec* row) {
#pragma GCC unroll 16
            for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
                for (int v = 0; v < P * V; ++v) acc[m][v] += splat(x[m * stride + k]) * row[v];
        });
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < P * V; ++v) store(sums + place(m, v), acc[m][v]);
    }
}

template <class S, int M, int P = abreast(M)>
static void tiles(long count, const float* x, long stride, long inputs, const S* panel, bool added, float* sums) {
    for (; count >= P; count -= P, panel += P * rows_of<S>(inputs) * LANES, sums += P * M * LANES)
        tile<S, M, P>(x, stride, inputs, panel, added, sums);
    if constexpr (P > 1) tiles<S, M, P / 2>(count, x, stride, inputs, panel, added, sums);
}

// sums[count][rows][LANES] = x[rows, inputs] times panels
template <class S, int M = MOST>
static void rest(long rows, long count, const float* x, long stride, long inputs, const S* panel, bool added, float* sums) {
    if constexpr (M > 0) {
        if (rows == M) tiles<S, M>(count, x, stride, inputs, panel, added, sums);
        else rest<S, M - 1>(rows, count, x, stride, inputs, panel, added, sums);
    }
}

// Tokens whose panels are read as they are, `abreast` of one another.
template <class S>
constexpr long FEW = std::is_same<S, float>::value ? ROWS : MOST;

// sums[live][LANES] = x[live, K] times a panel, for more than a few tokens
template <class S>
static void times_panel(const S* panel, long live, const float* x, long K, float* sums) {
    constexpr bool narrow = !std::is_same<S, float>::value;
    float widened[PIECE * LANES];
    long step = narrow ? PIECE : K;
    for (long from = 0; from < K; from += step, panel += rows_of<S>(step) * LANES) {
        long inputs = std::min(step, K - from);
        const float* piece = widened;
        if constexpr (!narrow) piece = panel;
        else
            each_row<VECTORS, 1>(panel, 0, 0, inputs, [&](long k, const vec* row) {
                for (int v = 0; v < VECTORS; ++v) store(widened + k * LANES + v * W, row[v]);
            });
        for (long t = 0; t < live; t += ROWS)
            rest<float>(std::min<long>(ROWS, live - t), 1, x + t * K + from, K, inputs, piece, from > 0, sums + t * LANES);
    }
}

// Calls finish(token, first output, sums[LANES]) for every token and panel; each sum is made in the order of the inputs,
// whatever `live` and the number of threads are. To be called by all threads of a team, which leave one by one.
template <class S, class Finish>
static void product_of(const S* panels, long live, const float* x, long K, long outputs, Finish finish) {
    static thread_local std::vector<float> memory;
    long count = (outputs + LANES - 1) / LANES;
    // as many as leave each thread several groups
    long group = live > FEW<S> ? 1 : std::clamp(count / (2 * omp_get_num_threads()), 1L, 4L);
    float* sums = scratch(memory, group * live * LANES);
#pragma omp for schedule(dynamic, 1) nowait
    for (long p = 0; p < count; p += group) {
        const S* panel = panels + p * rows_of<S>(K) * LANES;
        long here = std::min(group, count - p);
        if (live > FEW<S>) times_panel(panel, live, x, K, sums);
        else rest<S>(live, here, x, K, K, panel, false, sums);
        for (long i = 0; i < here * live; ++i) finish(i % live, (p + i / live) * LANES, sums + i * LANES);
    }
}

template <class Finish>
static void product(const char* type, long live, const float* x, long K, const void* panels, long outputs,
                    Finish finish) {
    typed(type, [&](auto* s) {
        product_of(static_cast<decltype(s)>(panels), live, x, K, outputs, finish);
    });
}

static void normalize(long t, const float* x, const float* weight, float eps, long size, float* y) {
    const float* from = x + t * size;
    float* to = y + t * size;
    double squares = 0;
    for (long i = 0; i < size; ++i) squares += double(from[i]) * from[i];
    float scale = 1.0f / std::sqrt(float(squares / size) + eps);
    for (long i = 0; i < size; ++i) to[i] = from[i] * scale * weight[i];
}

// ---- Attention over the cache.

struct Cache {  // keys [slots, groups, capacity / KEYS, dim, KEYS], values [slots, groups, capacity, padded dim]
    void *keys, *values;
    const char* type;  // of both: float32, or bfloat16 numbers
    const float *cos, *sin;  // [capacity, dim / 2]
    const float* norms;      // weights of query and key heads, [2, dim]; null in a model without these norms
    float eps;
    long groups, repeats, dim, pad, capacity;

    template <class K>
    K* key(long slot, long group, long position) const {
        return static_cast<K*>(keys) + ((slot * groups + group) * capacity + position / KEYS * KEYS) * dim + position % KEYS;
    }
    template <class K>
    K* value(long slot, long group, long position) const {
        return static_cast<K*>(values) + ((slot * groups + group) * capacity + position) * pad;
    }
    // y[i * stride] = the head x, rotated to its position
    template <class K>
    void rotate(const float* x, long position, float scale, K* y, long stride) const {
        long half = dim / 2;
        const float *c = cos + position * half, *s = sin + position * half;
        for (long i = 0; i < half; ++i) {
            put(y + i * stride, (x[i] * c[i] - x[i + half] * s[i]) * scale);
            put(y + (i + half) * stride, (x[i + half] * c[i] + x[i] * s[i]) * scale);
        }
    }
    // A query's head (kind 0) or a key's (1), normalized into `own` where the model does so.
    const float* head(const float* x, int kind, float* own) const {
        if (!norms) return x;
        normalize(0, x, norms + kind * dim, eps, dim, own);
        return own;
    }
    template <class K>
    void remember(const float* fused, long slot, long group, long position, float* buffer) const {
        const float* k = fused + (group * (repeats + 2) + repeats) * dim;
        rotate(head(k, 1, buffer), position, 1.0f, key<K>(slot, group, position), KEYS);
        K* v = value<K>(slot, group, position);
        for (long i = 0; i < dim; ++i) put(v + i, k[dim + i]);
    }
    long buffered() const { return 2 * pad + capacity + SPAN; }
    // The heads of one group at one token: out[repeats * dim].
    template <class K>
    void attend(const float* fused, long slot, long group, long position, float* buffer, float* out) const {
        float *query = buffer, *own = buffer + pad, *score = own + pad;  // score: whole spans
        long length = position + 1, spans = (length + SPAN - 1) / SPAN * SPAN;
        for (long r = 0; r < repeats; ++r) {
            const float* q = head(fused + (group * (repeats + 2) + r) * dim, 0, own);
            rotate(q, position, 1.0f / std::sqrt(float(dim)), query, 1);
            for (long p = 0; p < spans; p += SPAN) {
                vec acc[SPAN / W] = {};
                const K* block = key<K>(slot, group, p);
                for (long i = 0; i < dim; ++i)
                    for (long v = 0; v < SPAN / W; ++v)
                        acc[v] += splat(query[i]) * weights(block + (v * W / KEYS * dim + i) * KEYS + v * W % KEYS);
                for (long v = 0; v < SPAN / W; ++v) store(score + p + v * W, acc[v]);
            }
            float top = largest(score, length);
            vec total = {};
            for (long p = 0; p < spans; p += W) {
                vec weight = exp(load(score + p) - top);
                if (p + W > length)
                    for (long i = std::max(length - p, 0L); i < W; ++i) weight[i] = 0;
                total += weight;
                store(score + p, weight);
            }
            float scale = 1.0f / sum(total);
            const K* rows = value<K>(slot, group, 0);
            for (long i = 0; i < dim; i += SPAN) {
                long vectors = std::min(SPAN, pad - i) / W;
                vec acc[SPAN / W] = {};
                for (long p = 0; p < length; ++p)
                    for (long v = 0; v < vectors; ++v) acc[v] += splat(score[p]) * weights(rows + p * pad + i + v * W);
                for (long v = 0; v < vectors; ++v) acc[v] *= scale;
                std::memcpy(out + r * dim + i, acc, std::min(SPAN, dim - i) * sizeof(float));
            }
        }
    }
};

// ---- A decoder layer: two halves, each to be called by all threads of a team.

// out = base + sums; base is null on a tensor rank, whose sums are a part of the whole
static inline void add(const float* base, const float* sums, long count, float* out) {
    for (long i = 0; i < count; ++i) out[i] = base ? base[i] + sums[i] : sums[i];
}

// x [T, hidden] and eps [1] go before all arrays; these come between them and a layer's, of which those of its attention are first
constexpr int COS = 2, SIN = 3, SLOTS = 4, POSITIONS = 5, LIVE = 6, FIRST = 7;
constexpr int ATTENTION = 7, MLP = 3;  // arrays of a layer's halves

struct Layer {
    void** params;
    int64_t** shapes;
    const char** dtypes;
    long live, hidden;
    float eps;
    Meeting* meeting;
    float* memory;  // normed [live, hidden], then what lies between the products

    long inputs(int matrix) const { return inputs_of(dtypes[matrix], shapes[matrix][1]); }
    // norm, qkv, bias, proj, norms of heads, keys, values from params[at] on
    Cache cache(int at) const {
        Cache cache{params[at + 5], params[at + 6], dtypes[at + 5], F(COS), F(SIN), shapes[at + 4][0] > 1 ? F(at + 4) : nullptr, eps};
        cache.groups = shapes[at + 5][1];
        cache.dim = shapes[at + 5][3];
        cache.capacity = shapes[at + 6][2];
        cache.pad = shapes[at + 6][3];
        cache.repeats = inputs(at + 3) / cache.dim / cache.groups;
        return cache;
    }
    long attention_inner(int at) const { return shapes[at + 2][0] + inputs(at + 3); }
    void attention(int at, const float* x, const float* base, float* out) const {
        const Cache cache = this->cache(at);
        const float* bias = F(at + 2);
        const int32_t *slots = I(SLOTS), *positions = I(POSITIONS);
        long fused = shapes[at + 2][0], mixed = inputs(at + 3), live = this->live, hidden = this->hidden;
        float *normed = memory, *heads = normed + live * hidden, *mix = heads + live * fused;
        static thread_local std::vector<float> own;
        float* buffer = scratch(own, cache.buffered());
#pragma omp for nowait
        for (long t = 0; t < live; ++t) normalize(t, x, F(at), eps, hidden, normed);
        meeting->wait();
        product(dtypes[at + 1], live, normed, hidden, params[at + 1], fused, [=](long t, long first, const float* sums) {
            add(bias + first, sums, std::min(LANES, fused - first), heads + t * fused + first);
        });
        meeting->wait();
#pragma omp for nowait
        for (long t = 0; t < live; ++t)
            for (long g = 0; g < cache.groups; ++g) 
                cached(cache.type, [&](auto* k) {
                    cache.remember<std::decay_t<decltype(*k)>>(heads + t * fused, slots[t], g, positions[t], buffer);
                });
        meeting->wait();
#pragma omp for collapse(2) schedule(dynamic, 1) nowait
        for (long t = 0; t < live; ++t)
            for (long g = 0; g < cache.groups; ++g)
                cached(cache.type, [&](auto* k) {
                    cache.attend<std::decay_t<decltype(*k)>>(heads + t * fused, slots[t], g, positions[t], buffer,
                                                             mix + t * mixed + g * cache.repeats * cache.dim);
                });
        meeting->wait();
        product(dtypes[at + 3], live, mix, mixed, params[at + 3], hidden, [=](long t, long first, const float* sums) {
            long place = t * hidden + first;
            add(base ? base + place : nullptr, sums, std::min(LANES, hidden - first), out + place);
        });
    }

    // norm, fc1, fc2 from params[at] on
    long mlp_inner(int at) const { return inputs(at + 2); }
    void mlp(int at, const float* x, const float* base, float* out) const {
        long ffn = inputs(at + 2), live = this->live, hidden = this->hidden;
        float *normed = memory, *gated = normed + live * hidden;
#pragma omp for nowait
        for (long t = 0; t < live; ++t) normalize(t, x, F(at), eps, hidden, normed);
        meeting->wait();
        // a panel of fc1 holds the gates and then the ups of LANES / 2 features
        product(dtypes[at + 1], live, normed, hidden, params[at + 1], 2 * ffn, [=](long t, long first, const float* sums) {
            float product[LANES / 2];
            for (long i = 0; i < LANES / 2; i += W) {
                vec gate = load(sums + i);
                store(product + i, gate / (1.0f + exp(-gate)) * load(sums + LANES / 2 + i));
            }
            long feature = first / 2;
            std::memcpy(gated + t * ffn + feature, product, std::min(LANES / 2, ffn - feature) * sizeof(float));
        });
        meeting->wait();
        product(dtypes[at + 2], live, gated, ffn, params[at + 2], hidden, [=](long t, long first, const float* sums) {
            long place = t * hidden + first;
            add(base ? base + place : nullptr, sums, std::min(LANES, hidden - first), out + place);
        });
    }
};

// Whether each of the first `live` numbers is an index below `size`.
static bool within(const int32_t* numbers, long live, long size) {
    return std::all_of(numbers, numbers + live, [=](int32_t n) { return n >= 0 && n < size; });
}

// Calls run(layer) by a team of threads; inner(layer) floats a token are needed besides normed.
template <class Inner, class Run>
static int team(void** params, int64_t** shapes, const char** dtypes, int live, Inner inner, Run run) {
    static thread_local std::vector<float> memory;
    if (I(live)[0] < 0 || I(live)[0] > shapes[0][0]) return OUTSIDE;
    Meeting meeting;
    Layer layer{params, shapes, dtypes, I(live)[0], shapes[0][1], F(1)[0], &meeting, nullptr};
    layer.memory = scratch(memory, layer.live * (layer.hidden + inner(layer)));
#pragma omp parallel
    run(layer);
    return 0;
}

// Slots and positions of the live tokens lie in the caches of all layers, whose arrays begin at FIRST and lie `step` apart.
static bool remembered(void** params, int64_t** shapes, int end, int step) {
    const long live = I(LIVE)[0];
    if (live < 0 || live > shapes[0][0]) return false;
    for (int at = FIRST; at < end; at += step)
        if (!within(I(SLOTS), live, shapes[at + 5][0]) || !within(I(POSITIONS), live, shapes[at + 6][2])) return false;
    return true;
}

// x [T, hidden], eps [1], cos, sin, slots [T], positions [T], live [2], and of each layer norm, qkv, bias, proj, norms of heads
// [2 * dim] or none [1], keys, values, norm, fc1, fc2 -> [T, hidden]. All layers in one call: a team of threads is woken once.
KERNEL(decode_layers) {
    const int end = count - 1, step = ATTENTION + MLP;
    if (!remembered(params, shapes, end, step)) return OUTSIDE;
    return team(
        params, shapes, dtypes, LIVE,
        [=](const Layer& l) { return std::max(l.attention_inner(FIRST), l.mlp_inner(FIRST + ATTENTION)); },
        [=](const Layer& l) {
            float* out = F(end);
            for (int at = FIRST; at < end; at += step) {
                const float* x = at == FIRST ? F(0) : out;
                l.attention(at, x, x, out);
                l.meeting->wait();
                l.mlp(at + ATTENTION, out, out, out);
                l.meeting->wait();
            }
        });
}

// A tensor rank's part of what a layer's attention adds to x. As above, of one layer without norm, fc1, fc2 -> [T, hidden]
KERNEL(decode_attention) {
    if (!remembered(params, shapes, count - 1, ATTENTION)) return OUTSIDE;
    return team(
        params, shapes, dtypes, LIVE, [](const Layer& l) { return l.attention_inner(FIRST); },
        [=](const Layer& l) { l.attention(FIRST, F(0), nullptr, F(FIRST + ATTENTION)); });
}

// x [T, hidden], eps [1], norm, fc1, fc2, live [2] -> [T, hidden]
KERNEL(decode_mlp) {
    return team(
        params, shapes, dtypes, 5, [](const Layer& l) { return l.mlp_inner(2); },
        [=](const Layer& l) { l.mlp(2, F(0), nullptr, F(6)); });
}

// ---- Into and out of the layers.

template <class S>
static void embed(long live, const int32_t* ids, const S* table, long rows, long hidden, float* out) {
    for (long t = 0; t < live; ++t) {
        if (ids[t] < 0 || ids[t] >= rows) {  // another tensor rank's
            std::memset(out + t * hidden, 0, hidden * sizeof(float));
            continue;
        }
        const S* panel = table + ids[t] / LANES * rows_of<S>(hidden) * LANES;
        for (long i = 0; i < hidden; ++i) out[t * hidden + i] = weight(panel, i, ids[t] % LANES);
    }
}

// ids [T], table, live [2] -> [T, hidden]; zeros for ids outside of the table, which other tensor ranks have
KERNEL(decode_embed_part) {
    long rows = shapes[1][0] * LANES, hidden = inputs_of(dtypes[1], shapes[1][1]);
    if (I(2)[0] < 0 || I(2)[0] > shapes[0][0]) return OUTSIDE;
    typed(dtypes[1], [&](auto* s) { embed(I(2)[0], I(0), static_cast<decltype(s)>(params[1]), rows, hidden, F(3)); });
    return 0;
}

// As above, of one that has the whole table
KERNEL(decode_embed) {
    if (!within(I(0), std::min<long>(std::max(I(2)[0], 0), shapes[0][0]), shapes[1][0] * LANES)) return OUTSIDE;
    return decode_embed_part(0, params, nullptr, shapes, dtypes, nullptr, nullptr);
}

static void head(const char* type, long rows, long hidden, long vocab, void** params) {
    const float *x = F(0), *eps = F(1), *norm = F(2);
    const int32_t* wanted = I(4);
    float* out = F(6);
    static thread_local std::vector<float> memory;
    float* picked = scratch(memory, 2 * rows * hidden);
    float* normed = picked + rows * hidden;
    for (long r = 0; r < rows; ++r) {
        std::memcpy(picked + r * hidden, x + wanted[r] * hidden, hidden * sizeof(float));
        normalize(r, picked, norm, eps[0], hidden, normed);
    }
#pragma omp parallel
    product(type, rows, normed, hidden, params[3], vocab, [=](long t, long first, const float* sums) {
        std::memcpy(out + t * vocab + first, sums, std::min(LANES, vocab - first) * sizeof(float));
    });
}

// x [T, hidden], eps [1], norm, table, wanted [R], live [2] -> logits [R, vocab]
KERNEL(decode_head) {
    if (I(5)[1] < 0 || I(5)[1] > shapes[4][0] || !within(I(4), I(5)[1], shapes[0][0])) return OUTSIDE;
    head(dtypes[3], I(5)[1], shapes[0][1], shapes[6][1], params);
    return 0;
}

// logits [R, vocab], live [2] -> int32 [R]; of equal logits the first, -1 if one of them is no finite number
KERNEL(decode_best) {
    long rows = I(1)[1], vocab = shapes[0][1];
    if (rows < 0 || rows > shapes[0][0]) return OUTSIDE;
#pragma omp parallel for
    for (long r = 0; r < rows; ++r) {
        const float* row = F(0) + r * vocab;
        vec odd = {};  // x - x is 0, but for infinity and NaN
        long i = 0;
        for (; i + W <= vocab; i += W) odd += load(row + i) - load(row + i);
        float odds = sum(odd);
        for (; i < vocab; ++i) odds += row[i] - row[i];
        I(2)[r] = odds == 0 ? std::find(row, row + vocab, largest(row, vocab)) - row : -1;
    }
    return 0;
}
