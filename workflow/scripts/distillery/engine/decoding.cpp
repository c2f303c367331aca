// Generation's CPU kernels, called by MindSpore's Custom "aot" ops and compiled on first use by compiling.py.
//
// A call computes `live` tokens, each with its slot and position, of any mix of sequences: one new token of many
// sequences, or many of one. Shapes are static, the work is not: rows from `live` on are left as they are.
// Every number is computed by one thread in an order that depends on its own sequence alone, so answers depend
// neither on the batch nor on the number of threads.
//
// Weights lie in panels [outputs / 32][inputs][32], as float32 or as the upper half of it (bfloat16), which
// is read only if nothing is lost. At small batches the time is that of reading the weights once.

#include <algorithm>
#include <cmath>
#include <vector>

#include "vectors.h"

#define KERNEL(name) \
    extern "C" int name(int, void** params, int*, int64_t** shapes, const char** dtypes, void*, void*)
#define F(i) static_cast<float*>(params[i])
#define I(i) static_cast<int32_t*>(params[i])

constexpr long LANES = 32, VECTORS = LANES / W;  // outputs of a panel
constexpr long SPAN = 64;                        // positions whose scores are computed together
constexpr long KEYS = 16;                        // positions of a block of keys: [head_dim][KEYS]
#if defined(__AVX512F__)
constexpr int ROWS = 12;  // tokens of a register tile: 12 x 2 sums and operands of 32 registers
#else
constexpr int ROWS = 3;
#endif

typedef uint16_t half_vec __attribute__((vector_size(2 * W)));
typedef uint32_t word_vec __attribute__((vector_size(4 * W)));

static inline vec weights(const float* p) { return load(p); }
static inline vec weights(const uint16_t* p) {
    half_vec upper;
    std::memcpy(&upper, p, sizeof upper);
    word_vec word = __builtin_convertvector(upper, word_vec) << 16;
    vec v;
    std::memcpy(&v, &word, sizeof v);
    return v;
}

static float* scratch(std::vector<float>& buffer, long size) {
    if (long(buffer.size()) < size) buffer.resize(size);
    return buffer.data();
}

// ---- Linear layers.

// out[M][LANES] = x[M, K] times one panel.
template <class S, int M>
static void tile(const float* x, long stride, long K, const S* panel, float* out) {
    vec acc[M][VECTORS] = {};
    for (long k = 0; k < K; ++k) {
        vec row[VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v) row[v] = weights(panel + k * LANES + v * W);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) acc[m][v] += splat(x[m * stride + k]) * row[v];
    }
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < VECTORS; ++v) store(out + m * LANES + v * W, acc[m][v]);
}

template <class S, int M = ROWS>
static void rest(long rows, const float* x, long stride, long K, const S* panel, float* out) {
    if constexpr (M > 0) {
        if (rows == M) tile<S, M>(x, stride, K, panel, out);
        else rest<S, M - 1>(rows, x, stride, K, panel, out);
    }
}

// Calls finish(token, first output, sums[LANES]) for every token and panel. To be called by all threads of a team;
// they leave together.
template <class S, class Finish>
static void product(long live, const float* x, long K, const void* panels, long outputs, Finish finish) {
    long count = (outputs + LANES - 1) / LANES;
#pragma omp for schedule(dynamic, 1)
    for (long p = 0; p < count; ++p) {
        const S* panel = static_cast<const S*>(panels) + p * K * LANES;
        float sums[ROWS * LANES];
        for (long t = 0; t < live; t += ROWS) {
            long rows = std::min<long>(ROWS, live - t);
            rest<S>(rows, x + t * K, K, K, panel, sums);
            for (long m = 0; m < rows; ++m) finish(t + m, p * LANES, sums + m * LANES);
        }
    }
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
    float *keys, *values;
    const float *cos, *sin;  // [capacity, dim / 2]
    long groups, repeats, dim, pad, capacity;

    float* key(long slot, long group, long position) const {
        return keys + ((slot * groups + group) * capacity + position / KEYS * KEYS) * dim + position % KEYS;
    }
    float* value(long slot, long group, long position) const {
        return values + ((slot * groups + group) * capacity + position) * pad;
    }
    // y[i * stride] = the head x, rotated to its position
    void rotate(const float* x, long position, float scale, float* y, long stride) const {
        long half = dim / 2;
        const float *c = cos + position * half, *s = sin + position * half;
        for (long i = 0; i < half; ++i) {
            y[i * stride] = (x[i] * c[i] - x[i + half] * s[i]) * scale;
            y[(i + half) * stride] = (x[i + half] * c[i] + x[i] * s[i]) * scale;
        }
    }
    void remember(const float* fused, long slot, long group, long position) const {
        const float* k = fused + (group * (repeats + 2) + repeats) * dim;
        rotate(k, position, 1.0f, key(slot, group, position), KEYS);
        std::memcpy(value(slot, group, position), k + dim, dim * sizeof(float));
    }
    // The heads of one group at one token: out[repeats * dim].
    void attend(const float* fused, long slot, long group, long position, float* buffer, float* out) const {
        float *query = buffer, *score = buffer + pad;  // score: whole spans
        long length = position + 1, spans = (length + SPAN - 1) / SPAN * SPAN;
        for (long r = 0; r < repeats; ++r) {
            rotate(fused + (group * (repeats + 2) + r) * dim, position, 1.0f / std::sqrt(float(dim)), query, 1);
            for (long p = 0; p < spans; p += SPAN) {
                vec acc[SPAN / W] = {};
                const float* block = key(slot, group, p);
                for (long i = 0; i < dim; ++i)
                    for (long v = 0; v < SPAN / W; ++v)
                        acc[v] += splat(query[i]) * load(block + (v * W / KEYS * dim + i) * KEYS + v * W % KEYS);
                for (long v = 0; v < SPAN / W; ++v) store(score + p + v * W, acc[v]);
            }
            float top = *std::max_element(score, score + length);
            vec total = {};
            for (long p = 0; p < spans; p += W) {
                vec weight = exp(load(score + p) - top);
                if (p + W > length)
                    for (long i = std::max(length - p, 0L); i < W; ++i) weight[i] = 0;
                total += weight;
                store(score + p, weight);
            }
            float scale = 1.0f / sum(total);
            const float* rows = value(slot, group, 0);
            for (long i = 0; i < dim; i += SPAN) {
                long vectors = std::min(SPAN, pad - i) / W;
                vec acc[SPAN / W] = {};
                for (long p = 0; p < length; ++p)
                    for (long v = 0; v < vectors; ++v) acc[v] += splat(score[p]) * load(rows + p * pad + i + v * W);
                for (long v = 0; v < vectors; ++v) acc[v] *= scale;
                std::memcpy(out + r * dim + i, acc, std::min(SPAN, dim - i) * sizeof(float));
            }
        }
    }
};

// ---- A decoder layer.

template <class S>
static void layer(long live, long hidden, float eps, void** params, int64_t** shapes, const Cache& cache) {
    const float *x = F(0), *norm1 = F(2), *bias = F(4), *norm2 = F(6);
    const void *qkv = params[3], *proj = params[5], *fc1 = params[7], *fc2 = params[8];
    const int32_t *slots = I(13), *positions = I(14);
    float* out = F(16);
    long mixed = shapes[5][1], ffn = shapes[8][1];
    long fused = (cache.groups * (cache.repeats + 2)) * cache.dim;
    static thread_local std::vector<float> memory;
    float* normed = scratch(memory, live * (hidden + fused + mixed + ffn));
    float *heads = normed + live * hidden, *mix = heads + live * fused, *gated = mix + live * mixed;
#pragma omp parallel
    {
        static thread_local std::vector<float> own;
        float* buffer = scratch(own, cache.pad + cache.capacity + SPAN);
#pragma omp for
        for (long t = 0; t < live; ++t) normalize(t, x, norm1, eps, hidden, normed);
        product<S>(live, normed, hidden, qkv, fused, [=](long t, long first, const float* sums) {
            for (long i = 0; i < std::min(LANES, fused - first); ++i)
                heads[t * fused + first + i] = sums[i] + bias[first + i];
        });
#pragma omp for
        for (long t = 0; t < live; ++t)
            for (long g = 0; g < cache.groups; ++g) cache.remember(heads + t * fused, slots[t], g, positions[t]);
#pragma omp for collapse(2) schedule(dynamic, 1)
        for (long t = 0; t < live; ++t)
            for (long g = 0; g < cache.groups; ++g)
                cache.attend(heads + t * fused, slots[t], g, positions[t], buffer,
                             mix + t * mixed + g * cache.repeats * cache.dim);
        product<S>(live, mix, mixed, proj, hidden, [=](long t, long first, const float* sums) {
            for (long i = 0; i < std::min(LANES, hidden - first); ++i)
                out[t * hidden + first + i] = x[t * hidden + first + i] + sums[i];
        });
#pragma omp for
        for (long t = 0; t < live; ++t) normalize(t, out, norm2, eps, hidden, normed);
        // a panel of fc1 holds the gates and then the ups of LANES / 2 features
        product<S>(live, normed, hidden, fc1, 2 * ffn, [=](long t, long first, const float* sums) {
            float product[LANES / 2];
            for (long i = 0; i < LANES / 2; i += W) {
                vec gate = load(sums + i);
                store(product + i, gate / (1.0f + exp(-gate)) * load(sums + LANES / 2 + i));
            }
            long feature = first / 2;
            std::memcpy(gated + t * ffn + feature, product, std::min(LANES / 2, ffn - feature) * sizeof(float));
        });
        product<S>(live, gated, ffn, fc2, hidden, [=](long t, long first, const float* sums) {
            for (long i = 0; i < std::min(LANES, hidden - first); ++i) out[t * hidden + first + i] += sums[i];
        });
    }
}

// x [T, hidden], eps [1], norm1, qkv, bias, proj, norm2, fc1, fc2, keys, values, cos, sin, slots [T],
// positions [T], live [2] -> [T, hidden]
KERNEL(decode_layer) {
    Cache cache{F(9), F(10), F(11), F(12)};
    cache.groups = shapes[9][1];
    cache.dim = shapes[9][3];
    cache.capacity = shapes[10][2];
    cache.pad = shapes[10][3];
    cache.repeats = shapes[5][1] / cache.dim / cache.groups;
    auto run = dtypes[3][0] == 'f' ? layer<float> : layer<uint16_t>;
    run(I(15)[0], shapes[0][1], F(1)[0], params, shapes, cache);
    return 0;
}

// ---- Into and out of the layers.

template <class S>
static void embed(long live, const int32_t* ids, const S* table, long hidden, float* out) {
    for (long t = 0; t < live; ++t) {
        const S* panel = table + ids[t] / LANES * hidden * LANES + ids[t] % LANES;
        for (long i = 0; i < hidden; ++i) {
            S lanes[W] = {panel[i * LANES]};
            out[t * hidden + i] = weights(lanes)[0];
        }
    }
}

// ids [T], table, live [2] -> [T, hidden]
KERNEL(decode_embed) {
    if (dtypes[1][0] == 'f') embed(I(2)[0], I(0), static_cast<float*>(params[1]), shapes[1][1], F(3));
    else embed(I(2)[0], I(0), static_cast<uint16_t*>(params[1]), shapes[1][1], F(3));
    return 0;
}

template <class S>
static void head(long rows, long hidden, long vocab, void** params) {
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
    product<S>(rows, normed, hidden, params[3], vocab, [=](long t, long first, const float* sums) {
        std::memcpy(out + t * vocab + first, sums, std::min(LANES, vocab - first) * sizeof(float));
    });
}

// x [T, hidden], eps [1], norm, table, wanted [R], live [2] -> logits [R, vocab]
KERNEL(decode_head) {
    auto run = dtypes[3][0] == 'f' ? head<float> : head<uint16_t>;
    run(I(5)[1], shapes[0][1], shapes[6][1], params);
    return 0;
}

// logits [R, vocab], live [2] -> int32 [R]; of equal logits the first
KERNEL(decode_best) {
    long rows = I(1)[1], vocab = shapes[0][1];
#pragma omp parallel for
    for (long r = 0; r < rows; ++r) {
        const float* row = F(0) + r * vocab;
        I(2)[r] = std::max_element(row, row + vocab) - row;
    }
    return 0;
}
